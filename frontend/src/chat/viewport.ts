/** Phones whose keyboard covers the page instead of resizing it: the layout gets the visible height. */
export function followKeyboard(root: HTMLElement): void {
  const view = window.visualViewport;
  if (!view) return;
  const update = () => {
    const covered = window.innerHeight - view.height - view.offsetTop;
    if (covered > 80 && view.scale === 1) root.style.setProperty("--visible", `${view.height}px`);
    else root.style.removeProperty("--visible");
  };
  view.addEventListener("resize", update);
  view.addEventListener("scroll", update);
}
