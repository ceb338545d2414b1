/** Typesets TeX as MathML. The typesetter is fetched only when a message has math. */
const DONE = "math";

function reachable(node: HTMLElement): void {
  node.tabIndex = 0;
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", "Formula");
}

export async function typesetMath(root: HTMLElement): Promise<void> {
  const found = Array.from(root.querySelectorAll<HTMLElement>(".math")).filter((node) => !node.dataset[DONE]);
  if (found.length === 0) return;
  for (const node of found) node.dataset[DONE] = "waiting";
  try {
    const { default: temml } = await import("./temml.ts");
    for (const node of found) {
      const tex = node.textContent ?? "";
      const shown = document.createElement(node.tagName === "DIV" ? "div" : "span");
      try {
        temml.render(tex, shown, {
          displayMode: node.tagName === "DIV" || node.classList.contains("display"),
          throwOnError: true,
          trust: false,
          maxExpand: 500,
          annotate: false,
        });
        node.replaceChildren(...shown.childNodes);
        node.dataset["tex"] = tex;
        node.dataset[DONE] = "done";
        // Once it stands on the page: a formula that is wider than its place is scrolled by keys, too.
        requestAnimationFrame(() => node.scrollWidth > node.clientWidth && node.tagName === "DIV" && reachable(node));
      } catch {
        node.dataset[DONE] = "raw"; // Not TeX after all: it stays readable as it was written.
      }
    }
  } catch {
    for (const node of found) delete node.dataset[DONE]; // Offline: tried again with the next message.
  }
}
