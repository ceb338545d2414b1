/** Choosing several conversations, and one deed for all of them. */
import { call } from "./api.ts";
import { announce, byId, el } from "./dom.ts";
import { describe } from "./refusals.ts";
import { toast } from "./toast.ts";

export interface SelectHost {
  open(): string;
  refresh(): void;
}

interface Result {
  changed: string[];
}

const DONE: Record<string, string> = { archive: "Archived", unarchive: "Out of the archive", pin: "Pinned", delete: "Deleted" };
const MOST = 100;

export class Selection {
  readonly #list: HTMLElement;
  readonly #host: SelectHost;
  readonly #button = byId<HTMLButtonElement>("side-select");
  readonly #bar = byId("side-bulk");

  constructor(list: HTMLElement, host: SelectHost) {
    this.#list = list;
    this.#host = host;
    this.#button.addEventListener("click", () => this.#turn(!this.#on));
    byId("side-bulk-end").addEventListener("click", () => this.#turn(false));
    this.#bar.addEventListener("click", (event) => {
      const button = (event.target as HTMLElement).closest<HTMLElement>("[data-bulk]");
      if (button) void this.#do(button.dataset["bulk"] ?? "");
    });
    list.addEventListener("change", () => this.#count());
  }

  /** The list has other items than before. */
  listed(): void {
    if (this.#on) this.#boxes();
  }

  get #on(): boolean {
    return this.#button.getAttribute("aria-pressed") === "true";
  }

  get #ids(): string[] {
    const chosen = this.#list.querySelectorAll<HTMLInputElement>(".side__check:checked");
    return Array.from(chosen, (box) => box.closest<HTMLElement>(".side__item")?.dataset["id"] ?? "");
  }

  #turn(on: boolean): void {
    this.#button.setAttribute("aria-pressed", String(on));
    this.#bar.hidden = !on;
    if (on) this.#boxes();
    else for (const box of this.#list.querySelectorAll(".side__check")) box.remove();
    this.#list.querySelector<HTMLElement>(on ? ".side__check" : ".side__link")?.focus();
  }

  #boxes(): void {
    for (const item of this.#list.querySelectorAll<HTMLElement>(".side__item")) {
      if (item.querySelector(".side__check")) continue;
      const name = `Choose ${item.querySelector(".side__title")?.textContent ?? ""}`;
      item.prepend(el("input", { type: "checkbox", class: "side__check", "aria-label": name }));
    }
    this.#count();
  }

  #count(): void {
    const many = this.#ids.length;
    byId("side-bulk-count").textContent = many === 0 ? "None chosen" : `${many} chosen`;
    for (const button of this.#bar.querySelectorAll<HTMLButtonElement>("[data-bulk]")) button.disabled = many === 0;
  }

  async #do(action: string): Promise<void> {
    const ids = this.#ids.slice(0, MOST);
    if (ids.length === 0) return;
    const done = await this.#send(ids, action);
    if (!done) return;
    this.#turn(false);
    const text = `${DONE[action] ?? "Done"}: ${done.changed.length}.`;
    const back: Record<string, string> = { delete: "restore", archive: "unarchive", unarchive: "archive" };
    const undo = back[action];
    toast(text, undo ? () => void this.#send(done.changed, undo).then(() => this.#host.refresh()) : null);
    if (action === "delete" && done.changed.includes(this.#host.open())) history.replaceState(null, "", "/c");
    this.#host.refresh();
  }

  async #send(ids: string[], action: string): Promise<Result | null> {
    try {
      const done: Result = await call("POST", "/api/conversations/bulk", { ids, action });
      announce("Done.");
      return done;
    } catch (error) {
      toast(describe(error).text);
      return null;
    }
  }
}
