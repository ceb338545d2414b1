/** The elements of messages that the page makes itself; once they are finished the server's take their place. */
import { el, icon } from "./dom.ts";
import { typesetMath } from "./math.ts";

type Symbol = Parameters<typeof icon>[0];

/** A button of a message; one that changes the conversation rests while an answer is being written. */
export function action(name: string, label: string, symbol: Symbol, text = "", changes = false): HTMLElement {
  return el(
    "button",
    {
      type: "button",
      class: text ? "act act--text" : "act",
      "data-act": name,
      "data-changes": changes,
      "aria-label": text ? undefined : label,
      title: text ? undefined : label,
    },
    icon(symbol),
    text,
  );
}

export function userMessage(text: string, parent: string): HTMLElement {
  return el(
    "article",
    { class: "msg msg--user", "data-role": "user", "data-parent": parent },
    el("h2", { class: "sr-only" }, "You"),
    el("div", { class: "msg__text", dir: "auto" }, text),
    el(
      "div",
      { class: "msg__actions" },
      action("copy", "Copy your message", "copy"),
      action("edit", "Edit your message", "pencil", "", true),
      action("delete", "Delete your message and what follows", "trash-2", "", true),
    ),
  );
}

/** What helps an answer that did not end well: as `chat/remedies.html` of the server. */
export function remedies(some: boolean, failed: boolean): HTMLElement {
  const row = el("span", { class: "msg__remedies" });
  if (some) row.append(action("continue", "", "arrow-right", "Continue", true));
  if (failed) row.append(action("retry", "", "rotate-ccw", "Try again", true));
  return row;
}

/** Copy buttons on code, focus for what scrolls sideways, math. Runs once on each finished body. */
export function finishBody(root: HTMLElement): void {
  for (const pre of root.querySelectorAll<HTMLElement>("pre")) {
    const bar = pre.closest(".code-block")?.querySelector<HTMLElement>(".code-block__bar");
    if (bar && !bar.querySelector("button")) bar.append(action("copy-code", "Copy the code", "copy", "Copy"));
    if (pre.tabIndex < 0) {
      pre.tabIndex = 0;
      pre.setAttribute("role", "group");
      pre.setAttribute("aria-label", `Code${pre.dataset["language"] ? ` (${pre.dataset["language"]})` : ""}`);
    }
  }
  for (const table of root.querySelectorAll<HTMLElement>("table")) {
    if (table.parentElement?.classList.contains("table-scroll")) continue;
    const frame = el("div", { class: "table-scroll", tabindex: "0", role: "group", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  }
  void typesetMath(root);
}
