/** Pricing: the links ?interval=month|year work without a script; with one, prices change in place. */
export function startIntervalSwitch(): void {
  const root = document.querySelector<HTMLElement>("[data-interval]");
  if (!root) return;
  const links = root.querySelectorAll<HTMLAnchorElement>("[data-interval-choice]");
  for (const link of links) {
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      const choice = link.dataset["intervalChoice"] ?? "month";
      root.dataset["interval"] = choice;
      for (const other of links) {
        if (other === link) other.setAttribute("aria-current", "true");
        else other.removeAttribute("aria-current");
      }
      history.replaceState(null, "", link.href);
    });
  }
}
