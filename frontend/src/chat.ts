/** The chat page: puts the parts together. */
import { AnswerMenu } from "./chat/answer-menu.ts";
import { Desk } from "./chat/desk.ts";
import { byId } from "./chat/dom.ts";
import { listenToReceipts, showReceipt } from "./chat/receipt.ts";
import { tell } from "./chat/refusals.ts";
import { listenToKeys } from "./chat/shortcuts.ts";
import { copyLastCode, listenToThread, pressLast } from "./chat/thread.ts";
import { followKeyboard } from "./chat/viewport.ts";

const root = byId("chat");
const thread = byId("thread");
const desk = new Desk(root, thread);
const modelOf = (answer: HTMLElement): string =>
  answer.querySelector<HTMLElement>("[data-model]")?.dataset["model"] ?? desk.picker.current;

const menu = new AnswerMenu((act, instruction, answer) => {
  const figures = answer.querySelector<HTMLAnchorElement>("a[data-receipt]");
  if (act === "delete") desk.remove(answer);
  else if (act === "receipt") figures && void showReceipt(figures);
  else if (act === "model") desk.picker.pickOnce("Answer again with another model", (model) => void desk.again(answer, { model }));
  else void desk.again(answer, { model: modelOf(answer), instruction });
});

listenToThread(thread, {
  again: (answer) => void desk.again(answer, { model: modelOf(answer) }),
  retry: (answer) => void desk.again(answer, { model: desk.picker.current }),
  answer: (question) => void desk.answer(question),
  goOn: (answer) => void desk.goOn(answer),
  edit: (question) => desk.edit(question),
  remove: (message) => desk.remove(message),
  more: (answer, button) => menu.open(answer, button),
  stopOne: (answer) => desk.stopOne(answer),
  show: (form, message) => void desk.show(form, message),
});
listenToReceipts(thread);
listenToKeys({
  newChat: () => location.assign("/c"),
  stop: () => desk.stop(),
  focusInput: () => desk.composer.focus(),
  copyCode: () => copyLastCode(thread),
  copyAnswer: () => pressLast(thread, "copy", ".msg--answer"),
  again: () => pressLast(thread, "again"),
  editLast: () => pressLast(thread, "edit"),
  temporary: () => desk.temporary.toggle(),
  attach: () => desk.composer.files.open(),
  pickModel: () => desk.picker.toggle(),
  search: () => desk.sidebar.focusSearch(),
  help: () => byId<HTMLDialogElement>("keys").showModal(),
});
byId("keys-open").addEventListener("click", () => byId<HTMLDialogElement>("keys").showModal());
byId("refusal-close").addEventListener("click", () => {
  tell(null);
  desk.composer.focus();
});
for (const button of document.querySelectorAll<HTMLElement>("[data-suggestion]")) {
  button.addEventListener("click", () => desk.composer.put(button.dataset["suggestion"] ?? ""));
}
followKeyboard(root);
void desk.picker.load();
void desk.quota.load();
if (matchMedia("(hover: hover)").matches) desk.composer.focus();
