/** What every menu of the page does: it opens beside its button and inside the window, and arrows move in it. */
export function listen(menu: HTMLElement, chosen: (item: HTMLElement) => void): void {
  menu.addEventListener("click", (event) => {
    const item = (event.target as HTMLElement).closest<HTMLElement>("[role=menuitem]");
    if (!item) return;
    menu.hidePopover();
    chosen(item);
  });
  menu.addEventListener("keydown", (event) => {
    const items = Array.from(menu.querySelectorAll<HTMLElement>("[role=menuitem]:not([hidden])"));
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    items.at(to % items.length)?.focus();
  });
}

export function openAt(menu: HTMLElement, button: HTMLElement): void {
  menu.showPopover();
  const at = button.getBoundingClientRect();
  const own = menu.getBoundingClientRect();
  const above = at.bottom + own.height + 8 > innerHeight;
  menu.style.setProperty("--left", `${Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`);
  menu.style.setProperty("--top", `${Math.max(8, above ? at.top - own.height - 4 : at.bottom + 4)}px`);
  menu.querySelector<HTMLElement>("[role=menuitem]:not([hidden])")?.focus();
}
