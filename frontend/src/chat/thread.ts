/** Clicks in the thread. One listener for however many messages. */
import { announce } from "./dom.ts";

/** What the buttons of messages ask for. */
export interface ThreadCommands {
  /** Another answer in this one's place, by the same model. */
  again(answer: HTMLElement): void;
  /** Another try after a failure, by the model that is chosen now. */
  retry(answer: HTMLElement): void;
  /** An answer to a message that has none. */
  answer(question: HTMLElement): void;
  goOn(answer: HTMLElement): void;
  edit(question: HTMLElement): void;
  remove(message: HTMLElement): void;
  more(answer: HTMLElement, button: HTMLElement): void;
  stopOne(answer: HTMLElement): void;
  /** The form of a message was sent: another branch is wanted. */
  show(form: FormData, message: HTMLElement): void;
}

async function copy(text: string, button: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    announce("The browser did not allow copying.");
    return;
  }
  button.dataset["done"] = "";
  window.setTimeout(() => delete button.dataset["done"], 1500);
  announce("Copied.");
}

/** The text of a message as a reader would want it: TeX instead of drawn formulas, no button labels. */
function textOf(message: HTMLElement): string {
  const own = message.querySelector<HTMLElement>(".msg__text");
  if (own) return own.textContent ?? "";
  const body = message.querySelector<HTMLElement>(".msg__body");
  if (!body) return "";
  const marked = Array.from(body.querySelectorAll<HTMLElement>("[data-tex], .code-block__bar"));
  if (marked.length === 0) return body.innerText.trim();
  const shown = marked.map((node) => Array.from(node.childNodes));
  for (const node of marked) node.replaceChildren(node.dataset["tex"] ?? "");
  const text = body.innerText.trim();
  marked.forEach((node, at) => node.replaceChildren(...(shown[at] ?? [])));
  return text;
}

export function copyLastCode(thread: HTMLElement): void {
  const last = Array.from(thread.querySelectorAll<HTMLElement>(".code-block")).at(-1);
  const button = last?.querySelector<HTMLElement>('[data-act="copy-code"]');
  if (last && button) void copy(last.querySelector("code")?.textContent ?? "", button);
  else announce("There is no code to copy.");
}

/** Presses the last button of its kind in the thread: what keys do. */
export function pressLast(thread: HTMLElement, act: string, where = ".msg"): void {
  const buttons = thread.querySelectorAll<HTMLButtonElement>(`${where} [data-act="${act}"]:not(:disabled)`);
  if (buttons.length === 0) announce("There is nothing to do that with now.");
  buttons[buttons.length - 1]?.click();
}

export function listenToThread(thread: HTMLElement, commands: ThreadCommands): void {
  thread.addEventListener("click", (event) => {
    const button = (event.target as HTMLElement).closest<HTMLElement>("[data-act]");
    const message = button?.closest<HTMLElement>(".msg");
    if (!button || !message) return;
    switch (button.dataset["act"]) {
      case "copy":
        void copy(textOf(message), button);
        break;
      case "copy-code":
        void copy(button.closest(".code-block")?.querySelector("code")?.textContent ?? "", button);
        break;
      case "again":
        commands.again(message);
        break;
      case "retry":
        commands.retry(message);
        break;
      case "answer":
        commands.answer(message);
        break;
      case "continue":
        commands.goOn(message);
        break;
      case "edit":
        commands.edit(message);
        break;
      case "delete":
        commands.remove(message);
        break;
      case "more":
        commands.more(message, button);
        break;
      case "stop-one":
        commands.stopOne(message);
        break;
    }
  });
  thread.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    const message = form.closest<HTMLElement>(".msg");
    if (!message || !form.classList.contains("switch")) return;
    event.preventDefault();
    commands.show(new FormData(form, event.submitter), message);
  });
}
