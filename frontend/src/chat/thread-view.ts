/** The messages on the page: finding them, and what is done to all of them. */
import { finishBody } from "./messages.ts";

export class ThreadView {
  readonly element: HTMLElement;
  readonly #nameOf: (model: string) => string;

  constructor(element: HTMLElement, nameOf: (model: string) => string) {
    this.element = element;
    this.#nameOf = nameOf;
  }

  get last(): HTMLElement | undefined {
    return this.#messages().at(-1);
  }

  find(id: string): HTMLElement | null {
    return this.element.querySelector<HTMLElement>(`.msg[data-id="${CSS.escape(id)}"]`);
  }

  questionOf(answer: HTMLElement): HTMLElement | null {
    const messages = this.#messages();
    return messages.slice(0, messages.indexOf(answer)).findLast((node) => node.dataset["role"] === "user") ?? null;
  }

  /** Messages as the server wrote them are made ready: names of models, code, tables, formulas. */
  finish(within: HTMLElement = this.element): void {
    this.nameModels(within);
    for (const body of within.querySelectorAll<HTMLElement>(".msg__body")) finishBody(body);
  }

  /** The server writes ids of models; the catalogue knows what they are called. */
  nameModels(within: HTMLElement = this.element): void {
    for (const node of within.querySelectorAll<HTMLElement>("[data-model]")) {
      node.textContent = this.#nameOf(node.dataset["model"] ?? "") || "Answer";
    }
  }

  /** Buttons that change the conversation rest while an answer is being written. */
  rest(on: boolean, within: HTMLElement = this.element): void {
    const which = on ? "[data-changes]:not(:disabled)" : "[data-rests]";
    for (const button of within.querySelectorAll<HTMLButtonElement>(which)) {
      button.disabled = on;
      button.toggleAttribute("data-rests", on);
    }
  }

  /** Takes what stands after `first` off the page, and `first` with it if `inclusive`; gives it back in order. */
  cut(first: HTMLElement, inclusive: boolean): Element[] {
    for (const turn of this.element.querySelectorAll(":scope > .turn")) turn.replaceWith(...turn.childNodes);
    const off: Element[] = [];
    for (let next = inclusive ? first : first.nextElementSibling; next; next = next.nextElementSibling) off.push(next);
    for (const node of off) node.remove();
    return off;
  }

  #messages(): HTMLElement[] {
    return Array.from(this.element.querySelectorAll<HTMLElement>(".msg"));
  }
}
