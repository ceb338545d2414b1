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

/** A file that the server has, as it tells of it. */
export interface SentFile {
  id: string;
  name: string;
  kind: "image" | "pdf" | "text";
  size: number;
  width?: number | null;
  height?: number | null;
  pages?: number | null;
  truncated?: boolean;
  url: string;
}

export function sizeText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** The files of a message: as `chat/files.html` of the server. */
export function fileList(files: SentFile[]): HTMLElement {
  const items = files.map((file) => {
    const picture = file.kind === "image";
    const shown = picture
      ? [el("img", { class: "msg__picture", src: file.url, alt: file.name, width: String(file.width ?? ""), height: String(file.height ?? ""), loading: "lazy" })]
      : [icon("file-text"), el("span", { class: "file__name" }, file.name), el("span", { class: "file__size num" }, sizeText(file.size))];
    return el("li", {}, el("a", { class: picture ? "msg__shown" : "msg__file", href: file.url }, ...shown));
  });
  return el("ul", { class: "msg__files", "aria-label": "Attached files" }, ...items);
}

export function userMessage(text: string, parent: string, files: SentFile[] = []): HTMLElement {
  return el(
    "article",
    { class: "msg msg--user", "data-role": "user", "data-parent": parent },
    el("h2", { class: "sr-only" }, "You"),
    ...(files.length > 0 ? [fileList(files)] : []),
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
