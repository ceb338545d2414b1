/** The list of conversations: by time, by folder, or what a search finds; more of it on demand. */
import { call } from "./api.ts";
import { announce, byId, el } from "./dom.ts";
import { sameOrigin } from "./models.ts";
import { describe } from "./refusals.ts";
import { Item, made, type Row, UNTITLED } from "./side-item.ts";
import { ItemMenu } from "./side-menu.ts";
import { Selection } from "./side-select.ts";
import { listenToTools } from "./side-tools.ts";
import { startToasts } from "./toast.ts";

interface Page {
  results: Row[];
  next?: string | null;
}

const DAY = 86_400_000;
const TYPING_MS = 200;
const PINNED = "Pinned";

function groupName(item: Item): string {
  if (item.is("pinned")) return PINNED;
  const at = new Date(item.at);
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
  readonly #search = byId<HTMLInputElement>("side-q");
  readonly #view = byId<HTMLSelectElement>("side-view");
  readonly #status = byId("side-status");
  readonly #mark = el("div", { class: "side__mark" });
  readonly #observer: IntersectionObserver;
  readonly #current: () => string;
  readonly #selection: Selection;
  #next: string | null = null;
  /** Counts what was asked for, so that an answer that comes late is not shown. */
  #asked = 0;
  #typing = 0;

  constructor(current: () => string) {
    this.#current = current;
    startToasts();
    new ItemMenu(this.#list, { current, find: (id) => this.#item(id), changed: (item) => this.#changed(item), renamed: (item, title) => this.#name(item, title), refresh: () => void this.refresh() });
    this.#selection = new Selection(this.#list, { open: current, refresh: () => void this.refresh() });
    listenToTools(this.#view, () => void this.refresh());
    this.#search.form?.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.refresh();
    });
    this.#search.addEventListener("input", () => {
      window.clearTimeout(this.#typing);
      this.#typing = window.setTimeout(() => void this.refresh(), TYPING_MS);
    });
    this.#view.addEventListener("change", () => void this.refresh());
    this.#observer = new IntersectionObserver(
      (seen) => {
        if (!seen.some((entry) => entry.isIntersecting)) return;
        // Observed anew after each page: one that does not push the mark out of sight asks for the next.
        this.#observer.unobserve(this.#mark);
        void this.#more().then(() => this.#next && this.#observer.observe(this.#mark));
      },
      { root: this.#list, rootMargin: "300px" },
    );
    if (!this.#found) this.#regroup();
    if ("more" in this.#list.dataset) this.#goOnWith(`${this.#address}&pinned=0`);
  }

  focusSearch(): void {
    const side = byId("side");
    if (getComputedStyle(side).display === "none") side.showPopover();
    this.#search.focus();
    this.#search.select();
  }

  /** A conversation has a new title or a new message: it stands first, under its name. */
  touch(id: string, title?: string, firstWords = ""): void {
    let item = this.#item(id);
    const { pinned, archived, folder } = byId("bar").dataset;
    if (!item && !this.#found && this.#view.value === "" && archived === undefined) {
      const now = new Date().toISOString();
      const known = { pinned: pinned !== undefined, folder: folder ?? "" };
      item = new Item(made({ id, title: title ?? firstWords.trim().slice(0, 60), created_at: now, ...known }));
      this.#list.prepend(item.element);
      title ??= firstWords.trim().slice(0, 60);
    }
    if (!item) return this.#name(null, title);
    item.element.dataset["at"] = new Date().toISOString();
    if (title !== undefined) this.#name(item, title);
    this.#markCurrent();
    if (!this.#found) this.#regroup();
  }

  /** Lists anew what the search and the choice of folder say. */
  async refresh(): Promise<void> {
    const asked = ++this.#asked;
    this.#list.setAttribute("aria-busy", "true");
    try {
      const page: Page = await call("GET", this.#address);
      if (asked !== this.#asked) return;
      this.#show(page);
      if (this.#found) announce(page.results.length ? `${page.results.length} found.` : "Nothing found.");
    } catch (error) {
      if (asked !== this.#asked) return;
      const again = el("button", { type: "button", class: "button button--outline button--sm" }, "Try again");
      again.addEventListener("click", () => void this.refresh());
      this.#say(describe(error).text, again);
    } finally {
      if (asked === this.#asked) this.#list.removeAttribute("aria-busy");
    }
  }

  /** Whether what is listed is what a search found: then it is not grouped by time. */
  get #found(): string {
    return this.#search.value.trim();
  }

  get #address(): string {
    const query = new URLSearchParams({ limit: "50" });
    const view = this.#view.value;
    if (this.#found) query.set("q", this.#found);
    if (view === "archived") query.set("archived", "1");
    else if (!this.#found || view) query.set("archived", "0");
    if (view && view !== "archived") query.set("folder", view);
    return `/api/conversations?${query}`;
  }

  #show(page: Page): void {
    const items = page.results.map(made);
    this.#observer.disconnect();
    this.#list.replaceChildren();
    this.#say("");
    if (items.length === 0) this.#say(this.#emptyText());
    else if (this.#found) this.#list.append(el("ul", {}, ...items));
    else {
      this.#list.append(...items);
      this.#regroup();
    }
    this.#markCurrent();
    this.#selection.listed();
    if (page.next) this.#goOnWith(sameOrigin(page.next));
  }

  #emptyText(): string {
    if (this.#found) return `Nothing was found for “${this.#found}”.`;
    if (this.#view.value === "archived") return "Nothing is archived.";
    return this.#view.value ? "Nothing is in this folder yet." : "Your conversations will be listed here.";
  }

  #say(text: string, ...more: Node[]): void {
    this.#list.querySelector(".side__empty")?.remove();
    this.#status.replaceChildren(text, ...more);
    this.#status.hidden = text === "";
    if (more.length) this.#list.replaceChildren();
  }

  #goOnWith(address: string): void {
    this.#next = address;
    this.#list.append(this.#mark);
    this.#observer.observe(this.#mark);
  }

  async #more(): Promise<void> {
    if (!this.#next) return;
    const asked = this.#asked;
    try {
      const page: Page = await call("GET", this.#next);
      if (asked !== this.#asked) return;
      this.#next = page.next ? sameOrigin(page.next) : null;
      const fresh = page.results.filter((row) => !this.#item(row.id)).map(made);
      if (this.#found) this.#list.querySelector("ul")?.append(...fresh);
      else this.#mark.before(...fresh);
      if (!this.#found) this.#regroup();
      this.#selection.listed();
      if (this.#next) this.#list.append(this.#mark);
      else this.#mark.remove();
    } catch {
      this.#next = null; // What is listed stays; the next page load tries again.
    }
  }

  #item(id: string): Item | null {
    const element = id ? this.#list.querySelector<HTMLElement>(`.side__item[data-id="${CSS.escape(id)}"]`) : null;
    return element && new Item(element);
  }

  #name(item: Item | null, title: string | undefined): void {
    if (title === undefined) return;
    item?.rename(title);
    if (item && item.id !== this.#current()) return;
    byId("title").textContent = title || UNTITLED;
    document.title = `${title || UNTITLED} · ${byId("chat").dataset["site"] ?? ""}`;
  }

  #markCurrent(): void {
    for (const link of this.#list.querySelectorAll(".side__link[aria-current]")) link.removeAttribute("aria-current");
    this.#item(this.#current())?.element.querySelector(".side__link")?.setAttribute("aria-current", "page");
  }

  /** Something about a conversation is other than before: it may belong elsewhere in the list, or not in it. */
  #changed(item: Item): void {
    const view = this.#view.value;
    const here = view === "archived" ? item.is("archived") : !item.is("archived") && (view === "" || item.folder === view);
    if (this.#found || !item.listed) return;
    if (!here) item.element.remove();
    this.#regroup();
    if (!this.#list.querySelector(".side__item")) this.#say(this.#emptyText());
  }

  /** Sorts by time and puts the headings in, by the reader's own clock; what is pinned stands first. */
  #regroup(): void {
    const items = Array.from(this.#list.querySelectorAll<HTMLElement>(".side__item"), (element) => new Item(element));
    items.sort((a, b) => Number(b.is("pinned")) - Number(a.is("pinned")) || b.at - a.at);
    const sections: HTMLElement[] = [];
    let name = "";
    for (const item of items) {
      const group = groupName(item);
      if (group !== name) {
        name = group;
        sections.push(el("section", { class: "side__group" }, el("h2", { class: "side__heading" }, group), el("ul")));
      }
      sections.at(-1)?.lastElementChild?.append(item.element);
    }
    for (const old of this.#list.querySelectorAll(".side__group")) old.remove();
    this.#list.prepend(...sections);
    if (items.length) this.#say("");
  }
}
