/** The list of conversations: more of it on demand, rename, delete, a new one on top. */
import { call, Refused } from "./api.ts";
import { announce, byId, el, icon } from "./dom.ts";
import { sameOrigin } from "./models.ts";

interface Listed {
  id: string;
  title?: string | null;
  created_at: string;
  last_message_at?: string | null;
}

interface Page {
  results: Listed[];
  next?: string | null;
}

const UNTITLED = "Untitled";
const DAY = 86_400_000;

function groupName(at: Date): string {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  const age = start.getTime() - at.getTime();
  if (age <= 0) return "Today";
  if (age <= DAY) return "Yesterday";
  if (age <= 7 * DAY) return "This week";
  if (age <= 30 * DAY) return "This month";
  return at.toLocaleDateString("en", { month: "long", year: "numeric" });
}

export class Sidebar {
  readonly #list = byId("side-list");
  readonly #menu = byId("item-menu");
  readonly #rename = byId<HTMLDialogElement>("rename");
  readonly #delete = byId<HTMLDialogElement>("delete");
  #chosen: HTMLElement | null = null;
  #next: string | null = null;
  readonly #current: () => string;

  constructor(current: () => string) {
    this.#current = current;
    this.#list.addEventListener("click", (event) => {
      const button = (event.target as HTMLElement).closest<HTMLElement>("[data-menu]");
      if (button) this.#openMenu(button);
    });
    this.#menu.addEventListener("click", (event) => {
      const item = (event.target as HTMLElement).closest<HTMLElement>("[data-do]");
      if (!item) return;
      this.#menu.hidePopover();
      if (item.dataset["do"] === "rename") this.#askName();
      else this.#askDelete();
    });
    this.#menu.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
      event.preventDefault();
      const items = Array.from(this.#menu.querySelectorAll<HTMLElement>("[role=menuitem]"));
      const at = items.indexOf(document.activeElement as HTMLElement);
      items[(at + (event.key === "ArrowDown" ? 1 : items.length - 1)) % items.length]?.focus();
    });
    for (const dialog of [this.#rename, this.#delete]) {
      dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
    }
    this.#rename.querySelector("form")?.addEventListener("submit", () => void this.#doRename());
    this.#delete.querySelector("form")?.addEventListener("submit", () => void this.#doDelete());
    this.#regroup();
    if ("more" in this.#list.dataset) {
      this.#next = "/api/conversations?limit=100";
      const mark = this.#list.appendChild(el("div", { class: "side__mark" }));
      const observer = new IntersectionObserver(
        (seen) => {
          if (!seen.some((entry) => entry.isIntersecting)) return;
          // Observed anew after each page: one that does not push the mark out of sight asks for the next.
          observer.unobserve(mark);
          void this.#more(mark).then(() => this.#next && observer.observe(mark));
        },
        { root: this.#list, rootMargin: "300px" },
      );
      observer.observe(mark);
    }
  }

  /** A conversation has a new title or a new message: it stands first, under its name. */
  touch(id: string, title?: string, firstWords = ""): void {
    let item = this.#item(id);
    if (!item) {
      item = this.#make({ id, title: title ?? firstWords.trim().slice(0, 60), created_at: new Date().toISOString() });
      this.#list.querySelector(".side__empty")?.remove();
      this.#list.prepend(item);
      title ??= firstWords.trim().slice(0, 60);
    }
    item.dataset["at"] = new Date().toISOString();
    if (title !== undefined) this.#name(item, title);
    this.#markCurrent();
    this.#regroup();
  }

  #item(id: string): HTMLElement | null {
    return this.#list.querySelector<HTMLElement>(`.side__item[data-id="${CSS.escape(id)}"]`);
  }

  #make(row: Listed): HTMLElement {
    const title = row.title || UNTITLED;
    return el(
      "li",
      { class: "side__item", "data-id": row.id, "data-at": row.last_message_at ?? row.created_at },
      el("a", { class: "side__link", href: `/c/${row.id}` }, title),
      el("button", { type: "button", class: "tool side__more", "data-menu": true, "aria-haspopup": "menu", "aria-label": `Actions for ${title}` }, icon("ellipsis")),
    );
  }

  #name(item: HTMLElement, title: string): void {
    const shown = title || UNTITLED;
    const link = item.querySelector(".side__link");
    if (link) link.textContent = shown;
    item.querySelector("[data-menu]")?.setAttribute("aria-label", `Actions for ${shown}`);
    if (item.dataset["id"] === this.#current()) {
      byId("title").textContent = shown;
      document.title = `${shown} · ${byId("chat").dataset["site"] ?? ""}`;
    }
  }

  #markCurrent(): void {
    for (const link of this.#list.querySelectorAll(".side__link[aria-current]")) link.removeAttribute("aria-current");
    this.#item(this.#current())?.querySelector(".side__link")?.setAttribute("aria-current", "page");
  }

  /** Sorts by time and puts the headings in, by the reader's own clock. */
  #regroup(): void {
    const items = Array.from(this.#list.querySelectorAll<HTMLElement>(".side__item"));
    items.sort((a, b) => Date.parse(b.dataset["at"] ?? "") - Date.parse(a.dataset["at"] ?? ""));
    const sections: HTMLElement[] = [];
    let name = "";
    for (const item of items) {
      const group = groupName(new Date(item.dataset["at"] ?? ""));
      if (group !== name) {
        name = group;
        sections.push(el("section", { class: "side__group" }, el("h2", { class: "side__heading" }, group), el("ul")));
      }
      sections.at(-1)?.lastElementChild?.append(item);
    }
    for (const old of this.#list.querySelectorAll(".side__group")) old.remove();
    this.#list.prepend(...sections);
  }

  async #more(mark: HTMLElement): Promise<void> {
    if (!this.#next) return;
    try {
      const page: Page = await call("GET", this.#next);
      this.#next = page.next ? sameOrigin(page.next) : null;
      for (const row of page.results) if (!this.#item(row.id)) mark.before(this.#make(row));
      this.#regroup();
      if (!this.#next) mark.remove();
      else this.#list.append(mark);
    } catch {
      this.#next = null; // What is listed stays; the next page load tries again.
    }
  }

  #openMenu(button: HTMLElement): void {
    this.#chosen = button.closest<HTMLElement>(".side__item");
    const box = button.getBoundingClientRect();
    this.#menu.style.setProperty("--left", `${Math.max(8, Math.min(box.left, innerWidth - 190))}px`);
    this.#menu.style.setProperty("--top", `${Math.min(box.bottom + 4, innerHeight - 120)}px`);
    this.#menu.showPopover();
    this.#menu.querySelector<HTMLElement>("[role=menuitem]")?.focus();
  }

  #titleOfChosen(): string {
    return this.#chosen?.querySelector(".side__link")?.textContent ?? "";
  }

  #askName(): void {
    const input = byId<HTMLInputElement>("rename-input");
    input.value = this.#titleOfChosen();
    this.#rename.showModal();
    input.select();
  }

  #askDelete(): void {
    byId("delete-name").textContent = `“${this.#titleOfChosen()}” and all its messages will be gone.`;
    this.#delete.showModal();
  }

  async #doRename(): Promise<void> {
    const item = this.#chosen;
    const title = byId<HTMLInputElement>("rename-input").value.trim();
    if (!item || !title) return;
    const before = this.#titleOfChosen();
    this.#name(item, title);
    try {
      await call("PATCH", `/api/conversations/${item.dataset["id"]}/title`, { title });
      announce("Renamed.");
    } catch (error) {
      this.#name(item, before);
      announce(error instanceof Refused ? error.message : "The title could not be saved.");
    }
  }

  async #doDelete(): Promise<void> {
    const item = this.#chosen;
    if (!item) return;
    try {
      await call("DELETE", `/api/conversations/${item.dataset["id"]}`);
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) {
        announce(error instanceof Refused ? error.message : "The conversation could not be deleted.");
        return;
      }
    }
    announce("Deleted.");
    if (item.dataset["id"] === this.#current()) {
      location.assign("/c");
      return;
    }
    item.remove();
    this.#regroup();
    byId("new-chat").focus();
  }
}
