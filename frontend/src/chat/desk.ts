/** What goes on in one conversation: at most one turn at a time, and all that begins, replaces or follows one. */
import { call, type Limit } from "./api.ts";
import { canonicalMessage, canonicalThread } from "./canonical.ts";
import { Composer } from "./composer.ts";
import { newKey } from "./connection.ts";
import { announce, byId, el } from "./dom.ts";
import { edit } from "./editor.ts";
import type { AgainBody, SendBody } from "./events.ts";
import { finishBody, userMessage } from "./messages.ts";
import { ModelPicker } from "./models.ts";
import { Presets } from "./presets.ts";
import { QuotaView } from "./quota.ts";
import { QuoteView } from "./quote.ts";
import { describe, tell, type Told } from "./refusals.ts";
import { Scroller } from "./scroll.ts";
import { Sidebar } from "./sidebar.ts";
import { Temporary } from "./temporary.ts";
import { ThreadView } from "./thread-view.ts";
import { Turn, type TurnHost } from "./turn.ts";

const SETTLED_AFTER_MS = 6000;
const UNSENT: Told = { text: "The message could not be sent: there is no connection. It is back in the box." };
const UNANSWERED: Told = { text: "Your last message has no answer yet. Get one, or edit or delete the message." };

export class Desk implements TurnHost {
  conversationId: string;
  readonly composer: Composer;
  readonly picker: ModelPicker;
  readonly quota = new QuotaView();
  readonly scroller: Scroller;
  readonly sidebar: Sidebar;
  readonly presets: Presets;
  readonly temporary: Temporary;
  readonly #root: HTMLElement;
  readonly #thread: ThreadView;
  readonly #others = new BroadcastChannel("conversations");
  readonly #quote = new QuoteView(() => (this.composer?.sendable ? this.#bodyOf(this.composer.text) : null));
  #turn: Turn | null = null;
  #over: Promise<void> = Promise.resolve();
  #unsent: { body: string; key: string } | null = null;

  constructor(root: HTMLElement, thread: HTMLElement) {
    this.#root = root;
    this.#thread = new ThreadView(thread, (id) => this.modelName(id));
    this.conversationId = root.dataset["conversation"] ?? "";
    const fallback = root.dataset["defaultModel"] ?? "";
    this.scroller = new Scroller(byId("main"), thread, byId("jump"));
    this.sidebar = new Sidebar(() => this.conversationId);
    this.composer = new Composer(this.conversationId, (text) => void this.send(text), () => this.stop(), () => this.#quote.changed());
    this.picker = new ModelPicker(this.conversationId ? fallback : "", fallback, () => {
      this.composer.ready = this.picker.current !== "" && !this.#partial;
      this.#thread.nameModels();
    });
    this.presets = new Presets(this.composer, (preset) => {
      if (preset?.model) this.picker.settle(preset.model);
      this.composer.ready = this.picker.current !== "" && !this.#partial;
    });
    this.temporary = new Temporary(root, () => this.conversationId, (on) => {
      this.composer.keepsDraft = !on;
      if (!this.conversationId) byId("title").textContent = on ? "Temporary chat" : "New chat";
    });
    // Another tab has changed this conversation: what it did is shown here, and followed.
    this.#others.addEventListener("message", (event) => {
      const idle = !this.#turn && !thread.querySelector(".editor");
      if (event.data === this.conversationId && idle && !this.#partial) void this.reload();
    });
    this.#thread.finish();
    const named = location.hash.startsWith("#m-") ? document.getElementById(location.hash.slice(1)) : null;
    if (named) named.scrollIntoView();
    else this.scroller.toEnd();
    this.#attach();
    if (this.#partial) this.#thread.rest(true);
  }

  // What turns tell ----------------------------------------------------------------------------------

  started(id: string): void {
    const temporary = this.temporary.on;
    if (this.conversationId !== id) {
      this.conversationId = id;
      this.temporary.begun();
      // Its address would show nothing once this page is left.
      if (!temporary) {
        history.replaceState(null, "", `/c/${id}`);
        byId("bar").removeAttribute("data-new");
      }
    }
    this.composer.committed(id);
    this.composer.stoppable = true;
    if (!temporary) this.sidebar.touch(id, undefined, this.#turn?.block.querySelector(".msg__text")?.textContent ?? "");
    document.getElementById("welcome")?.remove();
    this.#others.postMessage(id);
  }

  titled(id: string, title: string): void {
    if (!this.temporary.on) this.sidebar.touch(id, title);
  }

  line(state: "reconnecting" | null): void {
    byId("quiet").hidden = state === null;
    byId("quiet-text").textContent = state === null ? "" : "Reconnecting… The answer goes on meanwhile.";
  }

  drawn = (): void => this.scroller.grew();

  modelName(id: string): string {
    return id ? this.picker.nameOf(id) : "";
  }

  arrived(message: HTMLElement): void {
    this.#thread.nameModels(message);
    if (this.#turn) this.#thread.rest(true, message);
  }

  // What a person asks for ---------------------------------------------------------------------------

  async send(text: string): Promise<void> {
    if (this.#turn) return;
    const last = this.#thread.last;
    if (last?.dataset["role"] === "user") {
      tell(UNANSWERED);
      return;
    }
    tell(null);
    const welcome = document.getElementById("welcome");
    if (welcome) welcome.hidden = true;
    const body = this.#bodyOf(text);
    const { compared, path } = this.#end();
    const columns = Array.from(path?.parentElement?.children ?? []);
    if (compared && path) compared.replaceWith(path);
    const files = this.composer.files.take();
    const block = el("div", { class: "turn" }, userMessage(text, path?.dataset["id"] ?? "", files));
    // The same message again after the network gave up is the same send: it has the same key.
    const form = JSON.stringify(body);
    const key = this.#unsent?.body === form ? this.#unsent.key : newKey();
    const turn = new Turn({ body, key }, block, this.conversationId, this);
    turn.expect(this.picker.choice);
    this.#thread.element.append(block);
    this.composer.clear();
    announce("Sent. Waiting for the answer.");
    const began = await this.#follow(turn, (unsent) => {
      block.remove();
      if (compared && path) {
        path.replaceWith(compared);
        compared.querySelector(".columns")?.replaceChildren(...columns);
      }
      if (welcome) welcome.hidden = false;
      this.composer.files.restore(files);
      this.composer.restore(text);
      this.#unsent = unsent ? { body: form, key } : null;
    });
    if (began && compared && path) await this.#refresh(path);
  }

  /** Another answer in this one's place; the one that is there stays as another version. */
  again(answer: HTMLElement, body: AgainBody): Promise<void> {
    return this.#rerun(this.#thread.questionOf(answer), answer, `/api/messages/${answer.dataset["id"]}/regenerate`, body);
  }

  /** An answer to a message that has none. */
  answer(question: HTMLElement): Promise<void> {
    return this.#rerun(question, null, `/api/messages/${question.dataset["id"]}/regenerate`, this.#choice());
  }

  /** The rest of an answer that was cut. */
  goOn(answer: HTMLElement): Promise<void> {
    const path = `/api/messages/${answer.dataset["id"]}/continue`;
    return this.#rerun(this.#thread.questionOf(answer), answer, path, {}, true);
  }

  edit(question: HTMLElement, draft?: string): void {
    edit(question, (text) => void this.#resend(question, text), draft);
  }

  /** Deletes a message and what is below it, once that was confirmed. */
  remove(message: HTMLElement): void {
    const dialog = byId<HTMLDialogElement>("drop");
    dialog.returnValue = "";
    dialog.addEventListener("close", () => dialog.returnValue === "delete" && void this.#remove(message), { once: true });
    dialog.showModal();
  }

  /** Shows the branch that `form` names, or keeps one of the answers that stand side by side. */
  async show(form: FormData, message: HTMLElement): Promise<void> {
    const kept = form.get("keep");
    if (this.#turn && !kept) return;
    if (this.#turn) {
      // The choice is made: what the others would still write is not paid for.
      await this.#turn.stop().catch(() => undefined);
      await this.#over;
    }
    const label = document.activeElement?.getAttribute("aria-label") ?? "";
    const top = message.getBoundingClientRect().top;
    if (!(await this.#load(form))) return;
    const id = String(kept ?? form.get("message"));
    const shown = this.#thread.find(id);
    if (!shown) return;
    this.scroller.holdAt(shown, top);
    if (kept) {
      this.picker.settle(shown.querySelector<HTMLElement>("[data-model]")?.dataset["model"] ?? "");
      announce("Kept. The conversation goes on from this answer.");
      this.#focusPrompt();
      return;
    }
    const buttons = Array.from(shown.querySelectorAll<HTMLButtonElement>(".switch button:not(:disabled)"));
    (buttons.find((button) => button.getAttribute("aria-label") === label) ?? buttons[0])?.focus({ preventScroll: true });
    announce(shown.querySelector(".switch__place")?.textContent ?? "");
  }

  /** Reads the branch that is shown anew. */
  async reload(): Promise<void> {
    if (await this.#load()) this.scroller.grew();
  }

  stop(): boolean {
    const turn = this.#turn;
    if (!turn?.connection.turnId) return false;
    this.composer.stoppable = false;
    turn.stop().catch(() => {
      this.composer.stoppable = true;
      announce("The answer could not be stopped.");
    });
    return true;
  }

  stopOne(answer: HTMLElement): void {
    this.#turn?.stop(answer.dataset["id"]).catch(() => announce("The answer could not be stopped."));
  }

  // How --------------------------------------------------------------------------------------------

  get #partial(): boolean {
    return "partial" in this.#root.dataset;
  }

  #bodyOf(text: string): SendBody {
    const body: SendBody = { content: text, ...this.#choice() };
    if (this.conversationId) body.conversation_id = this.conversationId;
    const files = this.composer.files.ids;
    if (files.length > 0) body.attachments = files;
    if (this.presets.current) body.preset_id = this.presets.current.id;
    if (this.temporary.on && !this.conversationId) body.temporary = true;
    // The form of the body before a comparison is given up: asked again, it must be the same request.
    const { compared, path } = this.#end();
    if (path?.dataset["id"] && compared) body.parent_message_id = path.dataset["id"];
    return body;
  }

  /** The answers that stand side by side at the end, and the message that the next one follows. */
  #end(): { compared: HTMLElement | null; path: HTMLElement | null } {
    const compared = this.#thread.element.querySelector<HTMLElement>(".compare");
    const path = compared?.querySelector<HTMLElement>('.msg:not([data-status="failed"])') ?? this.#thread.last ?? null;
    return { compared, path };
  }

  #choice(): { model: string } | { models: string[] } {
    const models = this.picker.choice;
    return models.length > 1 ? { models } : { model: models[0] ?? "" };
  }

  #focusPrompt(): void {
    // On a phone the keyboard would cover what was asked for.
    if (matchMedia("(hover: hover)").matches) this.composer.focus();
  }

  async #load(form?: FormData): Promise<boolean> {
    const found = await canonicalThread(this.conversationId, form).catch(() => null);
    if (!found) {
      tell({ text: "The conversation can't be read at the moment. Nothing was changed." });
      return false;
    }
    tell(null);
    this.#thread.element.replaceChildren(found);
    this.#thread.finish();
    this.#attach();
    if (form) this.#others.postMessage(this.conversationId);
    return true;
  }

  async #refresh(message: HTMLElement): Promise<void> {
    const fresh = await canonicalMessage(this.conversationId, message.dataset["id"] ?? "").catch(() => null);
    if (!fresh) return;
    finishBody(fresh);
    this.arrived(fresh);
    message.replaceWith(fresh);
  }

  /** Takes what is below `question` off the page and asks for it anew; it comes back if that is refused. */
  async #rerun(
    question: HTMLElement | null,
    answer: HTMLElement | null,
    path: string,
    body: AgainBody,
    rewrite = false,
  ): Promise<void> {
    const first = question ?? answer;
    if (this.#turn || !first) return;
    tell(null);
    const block = el("div", { class: "turn" });
    const below = this.#thread.cut(first, !question);
    if (question) {
      question.before(block);
      block.append(question);
    } else this.#thread.element.append(block);
    const turn = new Turn({ path, body, key: newKey() }, block, this.conversationId, this);
    if (rewrite && answer) {
      block.append(answer);
      turn.rewrite(answer);
    } else turn.expect(body.models ?? [body.model ?? this.picker.current]);
    const note = question?.querySelector(".msg__note") ?? null;
    note?.remove();
    announce("Asked. Waiting for the answer.");
    this.#focusPrompt();
    await this.#follow(turn, () => {
      if (note) question?.append(note);
      block.replaceWith(...(question ? [question] : []), ...below);
    });
  }

  async #resend(question: HTMLElement, text: string): Promise<void> {
    if (this.#turn) return;
    tell(null);
    let fresh: HTMLElement | null;
    try {
      const made = await call<{ id: string }>("PATCH", `/api/messages/${question.dataset["id"]}`, { content: text });
      fresh = await canonicalMessage(this.conversationId, made.id);
    } catch (error) {
      tell(describe(error));
      this.edit(question, text);
      return;
    }
    if (!fresh) return void this.reload();
    this.#thread.cut(question, false);
    question.replaceWith(fresh);
    await this.answer(fresh);
  }

  async #remove(message: HTMLElement): Promise<void> {
    try {
      await call("DELETE", `/api/messages/${message.dataset["id"]}`);
    } catch (error) {
      tell(describe(error));
      return;
    }
    if (await this.#load()) announce("Deleted.");
    this.#others.postMessage(this.conversationId);
    this.#focusPrompt();
  }

  /** Answers that are being written already are followed from here on. */
  #attach(): void {
    const running = Array.from(this.#thread.element.querySelectorAll<HTMLElement>('.msg[data-status="streaming"][data-turn]'));
    const turnId = running[0]?.dataset["turn"];
    if (!turnId || this.#turn) return;
    const place = running[0]?.closest<HTMLElement>(".compare") ?? running[0];
    const block = el("div", { class: "turn" });
    place?.before(block);
    const question = block.previousElementSibling;
    if (question?.classList.contains("msg--user")) block.append(question);
    if (place) block.append(place);
    const turn = new Turn({ turnId }, block, this.conversationId, this);
    turn.adopt(running.filter((node) => node.dataset["turn"] === turnId));
    this.composer.stoppable = true;
    void this.#follow(turn, () => undefined);
  }

  /** Runs a turn to its end. `giveBack` undoes what the page did for one that never began; false says so. */
  async #follow(turn: Turn, giveBack: (unsent: boolean) => void): Promise<boolean> {
    const known = turn.connection.turnId !== null;
    this.#turn = turn;
    this.composer.busy = true;
    if (!known) this.composer.stoppable = false;
    this.#thread.rest(true);
    if (!known) this.scroller.sent(turn.block);
    let over: () => void = () => undefined;
    this.#over = new Promise((resolve) => (over = resolve));
    const ending = await turn.connection.run();
    this.#turn = null;
    this.composer.busy = false;
    this.#thread.rest(false);
    over();
    if (ending.kind === "finished") {
      this.#unsent = null;
      await turn.settle();
      this.scroller.grew();
      // What a stopped answer used is known a little later: until then its whole reservation counts.
      if (turn.stopped) window.setTimeout(() => void this.quota.load(), SETTLED_AFTER_MS);
      return true;
    }
    if (turn.connection.turnId !== null && ending.kind === "refused" && ending.refusal.status === 401) {
      tell(describe(ending.refusal));
      return true;
    }
    if (turn.connection.turnId !== null) {
      // Begun, but it can't be watched any more: what the server has is shown by the page itself.
      tell({ text: "This answer can't be followed from here any more.", links: [{ href: location.href, label: "Reload the page" }] });
      return true;
    }
    giveBack(ending.kind === "unsent");
    if (ending.kind === "unsent") tell(UNSENT);
    else {
      tell(describe(ending.refusal));
      if (ending.refusal.body.code === "quota_exceeded") void this.quota.load();
    }
    return false;
  }

  limits = (limits: Limit[]): void => {
    this.quota.show(limits);
    this.#quote.changed();
  };
}
