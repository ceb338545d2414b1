/** The menu of the list itself: folders are made, renamed and deleted there, and conversations brought in. */
import { call } from "./api.ts";
import { byId } from "./dom.ts";
import { listen, openAt } from "./menu.ts";
import { describe } from "./refusals.ts";
import { newFolder } from "./side-menu.ts";
import { toast } from "./toast.ts";

/** `view` is the choice of folder; `refresh` lists anew. */
export function listenToTools(view: HTMLSelectElement, refresh: () => void): void {
  const menu = byId("side-menu");
  const button = byId("side-tools");
  const dialog = byId<HTMLDialogElement>("folder");
  const name = byId<HTMLInputElement>("folder-name");
  let renamed: HTMLOptionElement | null = null;

  const folder = (): HTMLOptionElement | null =>
    view.selectedOptions[0]?.parentElement instanceof HTMLOptGroupElement ? (view.selectedOptions[0] ?? null) : null;

  const ask = (option: HTMLOptionElement | null): void => {
    renamed = option;
    byId("folder-title").textContent = option ? "Rename folder" : "New folder";
    name.value = option?.text ?? "";
    dialog.showModal();
    name.select();
  };

  const save = async (): Promise<void> => {
    const text = name.value.trim();
    if (!text) return;
    try {
      if (renamed) {
        await call("PATCH", `/api/folders/${renamed.value}`, { name: text });
        renamed.text = text;
      } else {
        view.value = (await newFolder(text)).value;
        refresh();
      }
    } catch (error) {
      toast(describe(error).text);
    }
  };

  const remove = async (option: HTMLOptionElement): Promise<void> => {
    try {
      await call("DELETE", `/api/folders/${option.value}`);
    } catch (error) {
      toast(describe(error).text);
      return;
    }
    toast(`The folder “${option.text}” is gone. What was in it stays.`);
    const group = option.parentElement;
    option.remove();
    if (group instanceof HTMLOptGroupElement) group.hidden = group.children.length === 0;
    view.value = "";
    refresh();
  };

  button.addEventListener("click", () => {
    for (const entry of menu.querySelectorAll<HTMLElement>("[data-folder-only]")) entry.hidden = folder() === null;
    openAt(menu, button);
  });
  listen(menu, ({ dataset }) => {
    const chosen = folder();
    if (dataset["do"] === "new-folder") ask(null);
    else if (dataset["do"] === "rename-folder") ask(chosen);
    else if (dataset["do"] === "import") void import("./bring-in.ts").then(({ openImport }) => openImport(refresh));
    else if (chosen) void remove(chosen);
  });
  dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
  dialog.querySelector("form")?.addEventListener("submit", () => void save());
}
