/** Messages in the thread: a person's, an answer while it streams, an answer when it is done. */
import { type ErrorBody } from "./api.ts";
import { canonicalMessage, whenNotSelected } from "./canonical.ts";
import { el, icon } from "./dom.ts";
import type { Usage } from "./events.ts";
import { usageText } from "./format.ts";
import { LiveMarkdown } from "./live-markdown.ts";
import { typesetMath } from "./math.ts";
import { Assembly } from "./points.ts";

type Level = "" | "warning" | "error";

function action(name: string, label: string, symbol: Parameters<typeof icon>[0], text = ""): HTMLElement {
  return el(
    "button",
    { type: "button", class: text ? "act act--text" : "act", "data-act": name, "aria-label": text ? undefined : label, title: text ? undefined : label },
    icon(symbol),
    text,
  );
}

export function userMessage(text: string, parent: string): HTMLElement {
  return el(
    "article",
    { class: "msg msg--user", "data-role": "user", "data-parent": parent },
    el("h2", { class: "sr-only" }, "You"),
    el("div", { class: "msg__text", dir: "auto" }, text),
    el("div", { class: "msg__actions" }, action("copy", "Copy your message", "copy")),
  );
}

/** Copy buttons on code, focus for what scrolls sideways, math. Runs once on each finished body. */
export function finishBody(root: HTMLElement): void {
  for (const pre of root.querySelectorAll<HTMLElement>("pre")) {
    const bar = pre.closest(".code-block")?.querySelector<HTMLElement>(".code-block__bar");
    if (bar && !bar.querySelector("button")) bar.append(action("copy-code", "Copy the code", "copy", "Copy"));
    if (pre.tabIndex < 0) {
      pre.tabIndex = 0;
      pre.setAttribute("role", "group");
      pre.setAttribute("aria-label", `Code${pre.dataset["language"] ? ` (${pre.dataset["language"]})` : ""}`);
    }
  }
  for (const table of root.querySelectorAll<HTMLElement>("table")) {
    if (table.parentElement?.classList.contains("table-scroll")) continue;
    const frame = el("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  }
  void typesetMath(root);
}

export class Answer {
  element: HTMLElement;
  readonly id: string;
  readonly assembly = new Assembly();
  settled = false;
  #live: LiveMarkdown | null = null;
  #reasoning = "";
  readonly #drawn: () => void;

  constructor(id: string, model: string, name: string, drawn: () => void, existing?: HTMLElement) {
    this.id = id;
    this.#drawn = drawn;
    this.element =
      existing ??
      el(
        "article",
        { class: "msg msg--answer", id: `m-${id}`, "data-id": id, "data-role": "assistant", "data-status": "streaming" },
        el("h2", { class: "sr-only" }, name || "Answer"),
        el("div", { class: "msg__body prose", dir: "auto" }),
        el("div", { class: "msg__foot" }, el("span", { class: "msg__model", "data-model": model }, name)),
      );
    this.element.setAttribute("aria-busy", "true");
    this.element.dataset["live"] = "";
    if (!existing) this.waiting(true);
  }

  get #body(): HTMLElement {
    return this.element.querySelector<HTMLElement>(".msg__body") as HTMLElement;
  }

  /** Three dots until the first word. */
  waiting(on: boolean): void {
    this.element.querySelector(".waiting")?.remove();
    if (on) this.#body.before(el("p", { class: "waiting", "aria-hidden": "true" }, el("span"), el("span"), el("span")));
  }

  delta(offset: number, text: string): void {
    const fresh = this.assembly.take(offset, text);
    if (!this.#live) {
      this.waiting(false);
      this.#live = new LiveMarkdown(this.#body, this.#drawn);
      this.element.querySelector<HTMLDetailsElement>(".msg__reasoning")?.removeAttribute("open");
    }
    if (fresh) this.#live.push(fresh);
  }

  /** Reasoning is resent whole on resume: what is before `offset` is kept, the rest is replaced. */
  reason(offset: number, text: string): void {
    const points = Array.from(this.#reasoning);
    this.#reasoning = points.slice(0, offset).join("") + text;
    let box = this.element.querySelector<HTMLElement>(".msg__reasoning");
    if (!box) {
      box = el("details", { class: "msg__reasoning" }, el("summary", {}, "Reasoning"), el("div", { class: "msg__reasoning-text" }));
      (this.element.querySelector(".waiting") ?? this.#body).before(box);
    }
    const inner = box.querySelector<HTMLElement>(".msg__reasoning-text");
    if (inner) inner.textContent = this.#reasoning;
    this.#drawn();
  }

  model(model: string, reason: string): void {
    const shown = this.element.querySelector<HTMLElement>(".msg__model");
    if (!shown) return;
    delete shown.dataset["model"];
    shown.textContent = reason ? `${model} (${reason})` : model;
  }

  completed(finishReason: string, usage: Usage | undefined): void {
    this.#close("complete");
    if (usage) this.#usage(usage);
    if (finishReason === "length") this.#note("The answer reached its limit of tokens.", "", "info");
  }

  stopped(): void {
    this.element.dataset["status"] = "stopped";
    this.#note("You stopped this answer.", "", "square");
  }

  failed(error: ErrorBody): void {
    const some = this.assembly.length > 0;
    this.#close(some ? "interrupted" : "failed");
    if (some) this.#note(`${error.message} What had arrived is kept.`, "warning", "triangle-alert");
    else this.#note(error.message, "error", "circle-alert");
    const actions = this.#actions();
    if (!actions.querySelector('[data-act="retry"]')) actions.append(action("retry", "Try again", "rotate-ccw", "Try again"));
  }

  /** Puts the server's rendering in this one's place. Stays as it is when that can't be had. */
  async canonical(conversationId: string, arrived: (message: HTMLElement) => void): Promise<void> {
    try {
      const fresh = await canonicalMessage(conversationId, this.id);
      if (!fresh || fresh.dataset["status"] === "streaming") return;
      finishBody(fresh);
      arrived(fresh);
      await whenNotSelected(this.element);
      const open = this.element.querySelector<HTMLDetailsElement>(".msg__reasoning")?.open ?? false;
      const focused = this.element.contains(document.activeElement);
      this.element.replaceWith(fresh);
      this.element = fresh;
      const box = fresh.querySelector<HTMLDetailsElement>(".msg__reasoning");
      if (box && open) box.open = true;
      if (focused) fresh.querySelector<HTMLElement>('[data-act="copy"]')?.focus();
      this.#drawn();
    } catch {
      // The network is away: the streamed rendering is whole and stays.
    }
  }

  #close(status: string): void {
    this.settled = true;
    this.waiting(false);
    this.#live?.end();
    this.#live = null;
    this.element.dataset["status"] = status;
    this.element.removeAttribute("aria-busy");
    finishBody(this.#body);
    this.#actions();
  }

  #actions(): HTMLElement {
    const foot = this.element.querySelector<HTMLElement>(".msg__foot") as HTMLElement;
    let actions = foot.querySelector<HTMLElement>(".msg__actions");
    if (!actions) {
      actions = el("span", { class: "msg__actions" }, action("copy", "Copy the answer", "copy"));
      foot.append(actions);
    }
    return actions;
  }

  #usage(usage: Usage): void {
    const text = usageText(usage);
    const foot = this.element.querySelector<HTMLElement>(".msg__foot");
    if (!text || !foot) return;
    foot.querySelector(".msg__usage")?.remove();
    foot.querySelector(".msg__model")?.after(el("span", { class: "msg__usage num" }, text));
  }

  #note(text: string, level: Level, symbol: Parameters<typeof icon>[0]): void {
    this.element.querySelector(".msg__note")?.remove();
    this.#body.after(el("p", { class: `msg__note${level ? ` msg__note--${level}` : ""}` }, icon(symbol), text));
  }
}
