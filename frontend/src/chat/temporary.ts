/** A temporary chat: nothing of it is kept once this page is left or loaded again, and the page says so. */
import { csrfToken } from "./api.ts";
import { announce, byId } from "./dom.ts";

export class Temporary {
  readonly #root: HTMLElement;
  readonly #button = byId<HTMLButtonElement>("temporary");
  readonly #changed: (on: boolean) => void;

  /** `conversation` is the id of the one on the page, "" while there is none; `changed` hears of the switch. */
  constructor(root: HTMLElement, conversation: () => string, changed: (on: boolean) => void) {
    this.#root = root;
    this.#changed = changed;
    this.#button.hidden = conversation() !== "";
    this.#button.addEventListener("click", () => this.#set(!this.on));
    // The browser asks before what can't be had back is left.
    window.addEventListener("beforeunload", (event) => {
      if (this.on && conversation()) event.preventDefault();
    });
    window.addEventListener("pagehide", () => {
      if (!this.on || !conversation()) return;
      const headers = { "x-csrftoken": csrfToken() };
      void fetch(`/api/conversations/${conversation()}`, { method: "DELETE", headers, credentials: "same-origin", keepalive: true }).catch(() => undefined);
    });
    // The browser may bring a page back as it was left: what it shows is gone.
    window.addEventListener("pageshow", (event) => {
      if (event.persisted && this.on && conversation()) location.replace("/c");
    });
    if (this.on) changed(true);
  }

  get on(): boolean {
    return "temporary" in this.#root.dataset;
  }

  toggle(): void {
    if (!this.#button.hidden) this.#set(!this.on);
  }

  /** The conversation has begun: what it is can't be changed any more. */
  begun(): void {
    this.#button.hidden = true;
  }

  #set(on: boolean): void {
    this.#root.toggleAttribute("data-temporary", on);
    this.#button.setAttribute("aria-pressed", String(on));
    byId("temporary-note").hidden = !on;
    announce(on ? "Temporary chat: nothing is kept." : "This chat will be kept.");
    this.#changed(on);
  }
}
