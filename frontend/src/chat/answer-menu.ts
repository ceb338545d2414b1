/** The menu of an answer: other ways to answer, and to be rid of it. One menu for all messages. */
import { byId } from "./dom.ts";

export class AnswerMenu {
  readonly #menu = byId("answer-menu");
  #answer: HTMLElement | null = null;
  #button: HTMLElement | null = null;

  /** `chosen` gets what the item does, an instruction to the model if it has one, and the answer. */
  constructor(chosen: (act: string, instruction: string, answer: HTMLElement) => void) {
    this.#menu.addEventListener("click", (event) => {
      const item = (event.target as HTMLElement).closest<HTMLElement>("[role=menuitem]");
      const answer = this.#answer;
      if (!item || !answer) return;
      this.#menu.hidePopover();
      chosen(item.dataset["do"] ?? "", item.dataset["instruction"] ?? "", answer);
    });
    this.#menu.addEventListener("keydown", (event) => {
      const items = Array.from(this.#menu.querySelectorAll<HTMLElement>("[role=menuitem]:not([hidden])"));
      const at = items.indexOf(document.activeElement as HTMLElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      items.at(to % items.length)?.focus();
    });
    this.#menu.addEventListener("toggle", (event) => {
      const open = (event as ToggleEvent).newState === "open";
      this.#button?.setAttribute("aria-expanded", String(open));
    });
  }

  open(answer: HTMLElement, button: HTMLElement): void {
    this.#answer = answer;
    this.#button = button;
    const receipt = this.#menu.querySelector<HTMLElement>("[data-do=receipt]");
    if (receipt) receipt.hidden = !answer.querySelector("a[data-receipt]");
    this.#menu.showPopover();
    const at = button.getBoundingClientRect();
    const own = this.#menu.getBoundingClientRect();
    const above = at.bottom + own.height + 8 > innerHeight;
    this.#menu.style.setProperty("--left", `${Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`);
    this.#menu.style.setProperty("--top", `${Math.max(8, above ? at.top - own.height - 4 : at.bottom + 4)}px`);
    this.#menu.querySelector<HTMLElement>("[role=menuitem]")?.focus();
  }
}
