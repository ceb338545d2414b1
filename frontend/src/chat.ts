/** The chat page: puts the parts together and owns what is going on. */
import { call } from "./chat/api.ts";
import { Composer } from "./chat/composer.ts";
import { newKey } from "./chat/connection.ts";
import { announce, byId, el } from "./chat/dom.ts";
import type { SendBody } from "./chat/events.ts";
import { refusalText } from "./chat/format.ts";
import { finishBody, userMessage } from "./chat/messages.ts";
import { ModelPicker } from "./chat/models.ts";
import { QuotaView } from "./chat/quota.ts";
import { Scroller } from "./chat/scroll.ts";
import { listenToKeys } from "./chat/shortcuts.ts";
import { Sidebar } from "./chat/sidebar.ts";
import { copyLastCode, listenToThread } from "./chat/thread.ts";
import { Turn, type TurnHost } from "./chat/turn.ts";
import { followKeyboard } from "./chat/viewport.ts";

const SETTLED_AFTER_MS = 6000;

const root = byId("chat");
const thread = byId("thread");
let conversationId = root.dataset["conversation"] ?? "";
let turn: Turn | null = null;
let unsent: { body: string; key: string } | null = null;

const scroller = new Scroller(byId("main"), thread, byId("jump"));
const quota = new QuotaView();
const sidebar = new Sidebar(() => conversationId);
const composer = new Composer(conversationId, (text) => void send(text), stop);
const picker = new ModelPicker(
  conversationId ? (root.dataset["defaultModel"] ?? "") : "",
  root.dataset["defaultModel"] ?? "",
  () => {
    composer.ready = picker.current !== "" && !("partial" in root.dataset);
    nameModels(thread);
  },
);

/** The server writes ids of models; the catalogue knows what they are called. */
function nameModels(within: HTMLElement): void {
  for (const node of within.querySelectorAll<HTMLElement>("[data-model]")) {
    node.textContent = picker.nameOf(node.dataset["model"] ?? "");
  }
}

const host: TurnHost = {
  started(id) {
    if (conversationId !== id) {
      conversationId = id;
      history.replaceState(null, "", `/c/${id}`);
    }
    composer.committed(id);
    composer.stoppable = true;
    sidebar.touch(id, undefined, turn?.block.querySelector(".msg__text")?.textContent ?? "");
    document.getElementById("welcome")?.remove();
  },
  titled: (id, title) => sidebar.touch(id, title),
  quota: (limits) => quota.show(limits),
  line(state) {
    byId("quiet").hidden = state === null;
    byId("quiet-text").textContent = state === null ? "" : "Reconnecting. The answer goes on meanwhile.";
  },
  grew: () => scroller.grew(),
  modelName: (id) => picker.nameOf(id),
  arrived: nameModels,
};

function refuse(text: string, link?: { href: string; label: string }): void {
  byId("refusal-text").replaceChildren(text, ...(link ? [" ", el("a", { href: link.href }, link.label)] : []));
  byId("refusal").hidden = false;
}

function lastMessageId(): string {
  return Array.from(thread.querySelectorAll<HTMLElement>(".msg[data-id]")).at(-1)?.dataset["id"] ?? "";
}

async function send(text: string, parent?: string): Promise<void> {
  if (turn) return;
  byId("refusal").hidden = true;
  const welcome = document.getElementById("welcome");
  if (welcome) welcome.hidden = true;
  const body: SendBody = { content: text, model: picker.current };
  if (conversationId) body.conversation_id = conversationId;
  if (parent) body.parent_message_id = parent;
  const before = parent ?? lastMessageId();
  const block = el("div", { class: "turn" }, userMessage(text, before));
  // The same message again after the network gave up is the same send: it has the same key.
  const form = JSON.stringify(body);
  const key = unsent?.body === form ? unsent.key : newKey();
  turn = new Turn({ body, key }, block, conversationId, host);
  turn.expect(picker.current);
  thread.append(block);
  composer.busy = true;
  composer.stoppable = false;
  composer.clear();
  scroller.sent(block);
  announce("Sent. Waiting for the answer.");
  await follow(turn, () => {
    block.remove();
    if (welcome) welcome.hidden = false;
    composer.restore(text);
    unsent = { body: form, key };
  });
}

/** Runs a turn to its end; `giveBack` undoes what the page did for a turn that never began. */
async function follow(current: Turn, giveBack: () => void): Promise<void> {
  const ending = await current.connection.run();
  turn = null;
  composer.busy = false;
  if (ending.kind === "finished") {
    unsent = null;
    await current.settle();
    scroller.grew();
    // What a stopped answer used is known a little later: until then its whole reservation counts.
    if (current.stopped) window.setTimeout(() => void quota.load(), SETTLED_AFTER_MS);
    return;
  }
  if (current.connection.turnId !== null) {
    // Begun, but it can't be watched any more: what the server has is shown by the page itself.
    refuse("This answer can't be followed from here any more.", { href: location.href, label: "Reload the page" });
    return;
  }
  giveBack();
  if (ending.kind === "unsent") {
    refuse("The message could not be sent: there is no connection. It is back in the box.");
    return;
  }
  const { refusal } = ending;
  unsent = null;
  if (refusal.status === 401) {
    const next = encodeURIComponent(location.pathname);
    refuse("You are signed out. Your text is kept.", { href: `/login?next=${next}`, label: "Sign in" });
  } else if (refusal.body.code === "quota_exceeded") {
    refuse(refusalText(refusal.body, refusal.retryAfter), { href: "/pricing", label: "See the plans" });
    void quota.load();
  } else refuse(refusalText(refusal.body, refusal.retryAfter));
}

function stop(): boolean {
  const id = turn?.connection.turnId;
  if (!turn || !id) return false;
  const current = turn;
  composer.stoppable = false;
  current.markStopped();
  call("POST", `/api/chat/stream/${id}/stop`).catch(() => {
    composer.stoppable = true;
    announce("The answer could not be stopped.");
  });
  return true;
}

function retry(answer: HTMLElement): void {
  if (turn) return;
  const messages = Array.from(thread.querySelectorAll<HTMLElement>(".msg"));
  const question = messages.slice(0, messages.indexOf(answer)).findLast((node) => node.dataset["role"] === "user");
  const text = question?.querySelector(".msg__text")?.textContent;
  if (!question || !text) return;
  const parent = question.dataset["parent"] || undefined;
  if (parent) {
    // A new branch beside the failed one: what is below it is no longer the active path.
    for (const node of messages.slice(messages.indexOf(question))) node.remove();
  }
  void send(text, parent);
}

/** Answers that are being written while the page loads are followed from here on. */
function attach(): void {
  const running = Array.from(thread.querySelectorAll<HTMLElement>('.msg[data-status="streaming"][data-turn]'));
  const turnId = running[0]?.dataset["turn"];
  if (!turnId) return;
  const block = el("div", { class: "turn" });
  running[0]?.before(block);
  const question = block.previousElementSibling;
  if (question?.classList.contains("msg--user")) block.append(question);
  const current = (turn = new Turn({ turnId }, block, conversationId, host));
  for (const element of running.filter((node) => node.dataset["turn"] === turnId)) {
    block.append(element);
    current.adopt(element);
  }
  composer.busy = true;
  void follow(current, () => undefined);
}

for (const body of thread.querySelectorAll<HTMLElement>(".msg__body")) finishBody(body);
listenToThread(thread, retry);
listenToKeys({
  newChat: () => location.assign("/c"),
  stop,
  focusInput: () => composer.focus(),
  copyCode: () => copyLastCode(thread),
  pickModel: () => picker.toggle(),
  help: () => byId<HTMLDialogElement>("keys").showModal(),
});
byId("keys-open").addEventListener("click", () => byId<HTMLDialogElement>("keys").showModal());
byId("refusal-close").addEventListener("click", () => {
  byId("refusal").hidden = true;
  composer.focus();
});
for (const button of document.querySelectorAll<HTMLElement>("[data-suggestion]")) {
  button.addEventListener("click", () => composer.put(button.dataset["suggestion"] ?? ""));
}
followKeyboard(root);
scroller.toEnd();
attach();
void picker.load();
void quota.load();
if (matchMedia("(hover: hover)").matches) composer.focus();
