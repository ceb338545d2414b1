/** One conversation in the list: its element, made here or by the server, and what it knows of itself. */
import { byId, el, icon } from "./dom.ts";

interface Part {
  text: string;
  match: boolean;
}

/** A conversation as the API lists it; `highlights` when it was searched for. */
export interface Row {
  id: string;
  title?: string | null;
  created_at: string;
  last_message_at?: string | null;
  pinned?: boolean;
  archived?: boolean;
  folder?: string | null;
  highlights?: { field: "title" | "content"; message_id: string | null; parts: Part[] }[];
}

export const UNTITLED = "Untitled";

const marked = (parts: Part[]): (Node | string)[] => parts.map(({ text, match }) => (match ? el("mark", {}, text) : text));

/** The list's element for a row. */
export function made(row: Row): HTMLElement {
  const title = row.title || UNTITLED;
  const inTitle = row.highlights?.find(({ field }) => field === "title");
  const said = row.highlights?.find(({ field }) => field === "content");
  const link = el(
    "a",
    { class: "side__link", href: `/c/${row.id}${said?.message_id ? `#m-${said.message_id}` : ""}` },
    el("span", { class: "side__title", dir: "auto" }, ...(inTitle ? marked(inTitle.parts) : [title])),
  );
  if (said) link.append(el("span", { class: "side__excerpt", dir: "auto" }, ...marked(said.parts)));
  return el(
    "li",
    {
      class: "side__item",
      "data-id": row.id,
      "data-at": row.last_message_at ?? row.created_at,
      "data-pinned": row.pinned ?? false,
      "data-archived": row.archived ?? false,
      "data-folder": row.folder ?? "",
    },
    link,
    el("button", { type: "button", class: "tool side__more", "data-menu": true, "aria-haspopup": "menu", "aria-label": `Actions for ${title}` }, icon("ellipsis")),
  );
}

/** A conversation of the page: an item of the list, or the one that is open and not listed. */
export class Item {
  readonly element: HTMLElement;

  constructor(element: HTMLElement) {
    this.element = element;
  }

  get id(): string {
    return this.element.dataset["id"] ?? "";
  }

  get title(): string {
    return this.element.querySelector(".side__title")?.textContent ?? byId("title").textContent ?? "";
  }

  /** Whether it is an item of the list. */
  get listed(): boolean {
    return this.element.classList.contains("side__item");
  }

  get at(): number {
    return Date.parse(this.element.dataset["at"] ?? "");
  }

  get folder(): string {
    return this.element.dataset["folder"] ?? "";
  }

  is(flag: "pinned" | "archived"): boolean {
    return flag in this.element.dataset;
  }

  set(flag: "pinned" | "archived", on: boolean): void {
    if (on) this.element.dataset[flag] = "";
    else delete this.element.dataset[flag];
  }

  rename(title: string): void {
    const shown = title || UNTITLED;
    const name = this.element.querySelector(".side__title");
    if (name) name.textContent = shown;
    this.element.querySelector("[data-menu]")?.setAttribute("aria-label", `Actions for ${shown}`);
  }
}
