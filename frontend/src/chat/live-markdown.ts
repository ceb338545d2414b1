/**
 * Markdown while it arrives: each piece only adds to the DOM, so a long answer costs as much per word
 * as a short one. Elements are made one by one and text goes in as text; links are checked here. When
 * the answer is complete the server's rendering takes this one's place (canonical.ts).
 */
import * as smd from "streaming-markdown";

import { el } from "./dom.ts";
import { safeLink } from "./links.ts";

/** Characters given to the parser in one frame: a long answer that arrives at once stays smooth. */
const PER_FRAME = 6000;
/** A message stands under an <h2>. */
const TOP_HEADING = 3;

const TAGS = new Map<smd.Token, keyof HTMLElementTagNameMap>([
  [smd.BLOCKQUOTE, "blockquote"],
  [smd.PARAGRAPH, "p"],
  [smd.LINE_BREAK, "br"],
  [smd.RULE, "hr"],
  [smd.ITALIC_AST, "em"],
  [smd.ITALIC_UND, "em"],
  [smd.STRONG_AST, "strong"],
  [smd.STRONG_UND, "strong"],
  [smd.STRIKE, "s"],
  [smd.CODE_INLINE, "code"],
  [smd.RAW_URL, "a"],
  [smd.LINK, "a"],
  [smd.LIST_UNORDERED, "ul"],
  [smd.LIST_ORDERED, "ol"],
  [smd.LIST_ITEM, "li"],
  [smd.TABLE, "table"],
]);

function externalLink(link: HTMLElement, url: URL): void {
  link.setAttribute("href", url.href);
  link.setAttribute("target", "_blank");
  link.setAttribute("rel", "noopener noreferrer nofollow ugc");
}

const HEADINGS: smd.Token[] = [
  smd.HEADING_1,
  smd.HEADING_2,
  smd.HEADING_3,
  smd.HEADING_4,
  smd.HEADING_5,
  smd.HEADING_6,
];

interface Stack {
  nodes: HTMLElement[];
  /** Levels of the headings above, as written: an outline without gaps is made of them. */
  outline: number[];
}

function open(stack: Stack, type: smd.Token): void {
  if (type === smd.DOCUMENT) return;
  const parent = stack.nodes.at(-1) as HTMLElement;
  const level = HEADINGS.indexOf(type) + 1;
  // No heading before it has words: an empty one is nothing to jump to.
  if (level > 0) stack.nodes.push(parent.appendChild(el("div", { class: "heading", "data-level": String(level) })));
  else stack.nodes.push(make(parent, type));
}

function close(stack: Stack): void {
  if (stack.nodes.length < 2) return;
  const node = stack.nodes.pop() as HTMLElement;
  const level = Number(node.dataset["level"] ?? 0);
  if (level === 0 || !node.textContent?.trim()) return;
  while ((stack.outline.at(-1) ?? 0) >= level) stack.outline.pop();
  stack.outline.push(level);
  const depth = Math.min(6, TOP_HEADING - 1 + stack.outline.length);
  node.replaceWith(el(`h${depth}` as "h3", {}, ...node.childNodes));
}

function make(parent: HTMLElement, type: smd.Token): HTMLElement {
  const tag = TAGS.get(type);
  if (tag) return parent.appendChild(el(tag));
  switch (type) {
    case smd.CODE_BLOCK:
    case smd.CODE_FENCE: {
      const code = el("code");
      parent.append(
        el("div", { class: "code-block" }, el("div", { class: "code-block__bar" }, el("span")), el("pre", { tabindex: "0", role: "group", "aria-label": "Code" }, code)),
      );
      return code;
    }
    case smd.TABLE_ROW: {
      const section = parent.children.length === 0 ? el("thead") : (parent.children[1] ?? el("tbody"));
      parent.append(section);
      return section.appendChild(el("tr"));
    }
    case smd.TABLE_CELL:
      return parent.appendChild(el(parent.parentElement?.tagName === "THEAD" ? "th" : "td"));
    case smd.CHECKBOX:
      return parent.appendChild(el("span"));
    case smd.IMAGE:
      return parent.appendChild(el("a", { class: "image-link" }, "Image: "));
    case smd.EQUATION_BLOCK:
      return parent.appendChild(el("div", { class: "math" }));
    case smd.EQUATION_INLINE:
      return parent.appendChild(el("span", { class: "math" }));
    default:
      return parent.appendChild(el("span"));
  }
}

function setAttribute(stack: Stack, type: smd.Attr, value: string): void {
  const node = stack.nodes.at(-1) as HTMLElement;
  if (type === smd.HREF) {
    const url = safeLink(value);
    if (url && node.tagName === "A") externalLink(node, url);
  } else if (type === smd.SRC) {
    // Never an <img>: a picture that loads by itself tells its host who is reading what.
    const url = safeLink(value);
    if (url && url.protocol !== "mailto:") {
      externalLink(node, url);
      node.firstChild?.replaceWith(`Load image from ${url.hostname}: `);
    }
  } else if (type === smd.LANG) {
    const label = node.parentElement?.previousElementSibling?.firstElementChild;
    if (label) label.textContent = value.slice(0, 40);
  } else if (type === smd.CHECKED) {
    node.textContent = "☑ ";
  } else if (type === smd.START && /^\d{1,9}$/.test(value)) {
    node.setAttribute("start", value);
  }
}

export class LiveMarkdown {
  readonly #parser: smd.Parser;
  #waiting = "";
  #frame = 0;
  #timer = 0;
  readonly #drawn: () => void;

  /** Draws into `root`, which is emptied; `drawn` is called after each change of the DOM. */
  constructor(root: HTMLElement, drawn: () => void) {
    root.replaceChildren();
    this.#drawn = drawn;
    const stack: Stack = { nodes: [root], outline: [] };
    this.#parser = smd.parser({
      data: stack,
      add_token: open,
      end_token: close,
      add_text: (data: Stack, text: string) => data.nodes.at(-1)?.append(text),
      set_attr: setAttribute,
    });
  }

  push(text: string): void {
    this.#waiting += text;
    this.#schedule();
  }

  /** Draws all that is left and closes what is open. */
  end(): void {
    cancelAnimationFrame(this.#frame);
    window.clearTimeout(this.#timer);
    smd.parser_write(this.#parser, this.#waiting);
    this.#waiting = "";
    smd.parser_end(this.#parser);
    this.#drawn();
  }

  #schedule(): void {
    if (this.#frame || this.#timer) return;
    // A hidden page gets no frames, and should still have the text when it is looked at again.
    if (document.hidden) this.#timer = window.setTimeout(() => this.#draw(), 250);
    else this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#frame = this.#timer = 0;
    const piece = this.#waiting.slice(0, PER_FRAME);
    this.#waiting = this.#waiting.slice(piece.length);
    smd.parser_write(this.#parser, piece);
    this.#drawn();
    if (this.#waiting) this.#schedule();
  }
}
