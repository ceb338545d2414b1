/** What can be done to one conversation: the menu of its item, and of the one that is open. */
import { call } from "./api.ts";
import { announce, byId } from "./dom.ts";
import { listen, openAt } from "./menu.ts";
import { describe } from "./refusals.ts";
import { Item } from "./side-item.ts";
import { toast } from "./toast.ts";

/** What the list does for the menu. */
export interface MenuHost {
  current(): string;
  find(id: string): Item | null;
  changed(item: Item): void;
  renamed(item: Item, title: string): void;
  refresh(): void;
}

const DELETED = "deleted";

export class ItemMenu {
  readonly #menu = byId("item-menu");
  readonly #rename = byId<HTMLDialogElement>("rename");
  readonly #move = byId<HTMLDialogElement>("move");
  readonly #export = byId<HTMLDialogElement>("export");
  readonly #host: MenuHost;
  #chosen: Item | null = null;
  #button: HTMLElement | null = null;

  constructor(list: HTMLElement, host: MenuHost) {
    this.#host = host;
    list.addEventListener("click", (event) => {
      const button = (event.target as HTMLElement).closest<HTMLElement>("[data-menu]");
      const element = button?.closest<HTMLElement>(".side__item");
      if (button && element) this.#open(new Item(element), button);
    });
    const own = byId("bar-more");
    own.addEventListener("click", () => {
      const item = this.#opened();
      if (item) this.#open(item, own);
    });
    byId("bar-share").addEventListener("click", () => {
      const item = this.#opened();
      if (item) void share(item);
    });
    listen(this.#menu, (item) => this.#do(item.dataset["do"] ?? ""));
    this.#menu.addEventListener("toggle", (event) => {
      this.#button?.setAttribute("aria-expanded", String((event as ToggleEvent).newState === "open"));
    });
    for (const dialog of [this.#rename, this.#move, this.#export]) {
      dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
    }
    this.#rename.querySelector("form")?.addEventListener("submit", () => void this.#doRename());
    this.#move.querySelector("form")?.addEventListener("submit", () => void this.#doMove());
    this.#sayDeleted();
  }

  /** The open conversation: its item, or the bar above it when it is not listed. */
  #opened(): Item | null {
    const id = this.#host.current();
    if (!id) return null;
    const bar = byId("bar");
    bar.dataset["id"] = id;
    return this.#host.find(id) ?? new Item(bar);
  }

  #open(item: Item, button: HTMLElement): void {
    this.#chosen = item;
    this.#button = button;
    for (const [name, flag] of [["pin", "pinned"], ["archive", "archived"]] as const) {
      const on = item.is(flag);
      this.#entry(name).hidden = on;
      this.#entry(`un${name}`).hidden = !on;
    }
    // A popover that is not inside another one closes it: on a phone the list is one.
    (button.closest(".side") ?? document.body).append(this.#menu);
    openAt(this.#menu, button);
  }

  #entry(name: string): HTMLElement {
    const found = this.#menu.querySelector<HTMLElement>(`[data-do=${name}]`);
    if (!found) throw new Error(`the menu has no ${name}`);
    return found;
  }

  #do(what: string): void {
    const item = this.#chosen;
    if (!item) return;
    if (what === "rename") this.#askName(item);
    else if (what === "move") this.#askFolder(item);
    else if (what === "export") this.#showFormats(item);
    else if (what === "share") void share(item);
    else if (what === "delete") void this.#delete(item);
    else void this.#flag(item, what.endsWith("pin") ? "pinned" : "archived", !what.startsWith("un"));
  }

  async #flag(item: Item, flag: "pinned" | "archived", on: boolean): Promise<void> {
    try {
      await call("PATCH", `/api/conversations/${item.id}`, { [flag]: on });
    } catch (error) {
      toast(describe(error).text);
      return;
    }
    item.set(flag, on);
    this.#host.changed(item);
    if (flag === "archived") toast(on ? "Archived." : "Out of the archive.", () => void this.#back(item, on));
    else announce(on ? "Pinned." : "Not pinned any more.");
  }

  async #back(item: Item, archived: boolean): Promise<void> {
    await attempt(() => call("PATCH", `/api/conversations/${item.id}`, { archived: !archived }));
    item.set("archived", !archived);
    this.#host.refresh();
  }

  #askName(item: Item): void {
    const input = byId<HTMLInputElement>("rename-input");
    input.value = item.title;
    this.#rename.showModal();
    input.select();
  }

  async #doRename(): Promise<void> {
    const item = this.#chosen;
    const title = byId<HTMLInputElement>("rename-input").value.trim();
    if (!item || !title) return;
    const before = item.title;
    this.#host.renamed(item, title);
    try {
      await call("PATCH", `/api/conversations/${item.id}/title`, { title });
      announce("Renamed.");
    } catch (error) {
      this.#host.renamed(item, before);
      toast(describe(error).text);
    }
  }

  #askFolder(item: Item): void {
    const folders = byId<HTMLSelectElement>("move-to");
    const choices = byId("side-view").querySelectorAll<HTMLOptionElement>("optgroup option");
    folders.replaceChildren(new Option("No folder", ""), ...Array.from(choices, ({ text, value }) => new Option(text, value)));
    folders.value = item.folder;
    byId<HTMLInputElement>("move-new").value = "";
    this.#move.showModal();
  }

  async #doMove(): Promise<void> {
    const item = this.#chosen;
    const name = byId<HTMLInputElement>("move-new").value.trim();
    if (!item) return;
    await attempt(async () => {
      let folder = byId<HTMLSelectElement>("move-to").value;
      if (name) folder = (await newFolder(name)).value;
      await call("PATCH", `/api/conversations/${item.id}`, { folder });
      item.element.dataset["folder"] = folder;
      this.#host.changed(item);
      toast(folder ? "Moved." : "Out of its folder.");
    });
  }

  #showFormats(item: Item): void {
    for (const link of this.#export.querySelectorAll<HTMLAnchorElement>("a[data-format]")) {
      link.href = `/api/conversations/${item.id}/export?format=${link.dataset["format"]}`;
    }
    this.#export.showModal();
  }

  async #delete(item: Item): Promise<void> {
    const { id, title } = item;
    const gone = await attempt(() => call("DELETE", `/api/conversations/${id}`));
    if (!gone) return;
    if (id === this.#host.current()) {
      // The page it was on is no more; the next one offers the way back.
      sessionStorage.setItem(DELETED, JSON.stringify({ id, title }));
      location.assign("/c");
      return;
    }
    item.element.remove();
    this.#host.refresh();
    toast(`Deleted “${title}”.`, () => void this.#restore(id));
  }

  async #restore(id: string): Promise<void> {
    if (!(await attempt(() => call("POST", `/api/conversations/${id}/restore`)))) return;
    this.#host.refresh();
    announce("It is back.");
  }

  #sayDeleted(): void {
    const kept = sessionStorage.getItem(DELETED);
    sessionStorage.removeItem(DELETED);
    if (!kept) return;
    const { id, title } = JSON.parse(kept) as { id: string; title: string };
    toast(`Deleted “${title}”.`, () => void this.#restore(id));
  }
}

/** Does it; what goes wrong is said. */
async function attempt(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    toast(describe(error).text);
    return false;
  }
}

/** Makes a folder, and a choice of it in the list's own select. */
export async function newFolder(name: string): Promise<HTMLOptionElement> {
  const folder: { id: string; name: string } = await call("POST", "/api/folders", { name });
  const group = byId("side-view").querySelector("optgroup");
  const option = new Option(folder.name, folder.id);
  group?.append(option);
  if (group) group.hidden = false;
  return option;
}

async function share(item: Item): Promise<void> {
  const { openShare } = await import("./share.ts");
  await openShare(item.id);
}
