/** The menu of an answer: other ways to answer, and to be rid of it. One menu for all messages. */
import { byId } from "./dom.ts";
import { listen, openAt } from "./menu.ts";

export class AnswerMenu {
  readonly #menu = byId("answer-menu");
  #answer: HTMLElement | null = null;
  #button: HTMLElement | null = null;

  /** `chosen` gets what the item does, an instruction to the model if it has one, and the answer. */
  constructor(chosen: (act: string, instruction: string, answer: HTMLElement) => void) {
    listen(this.#menu, (item) => {
      const answer = this.#answer;
      if (answer) chosen(item.dataset["do"] ?? "", item.dataset["instruction"] ?? "", answer);
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
    openAt(this.#menu, button);
  }
}
