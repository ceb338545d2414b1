/** Clicks in the thread: copying, trying again. One listener for however many messages. */
import { announce } from "./dom.ts";

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

export function listenToThread(thread: HTMLElement, retry: (answer: HTMLElement) => void): void {
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
      case "retry":
        retry(message);
        break;
    }
  });
}
