/** Small helpers to build and find elements. Text always goes in as text. */
import type { IconName } from "../icon-names.ts";

type Attributes = Record<string, string | boolean | undefined>;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (typeof value === "string") node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** The element with this id, which the page's template always has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const node = document.getElementById(id);
  if (!node) throw new Error(`#${id} is not on the page`);
  return node as T;
}

const SVG = "http://www.w3.org/2000/svg";

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${document.documentElement.dataset["icons"] ?? ""}#${name}`);
  svg.append(use);
  return svg;
}

export const wantsNoMotion = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

let clearing = 0;

/** Says something once to a screen reader, when it is next idle. */
export function announce(text: string): void {
  const region = byId("announce");
  region.textContent = text;
  window.clearTimeout(clearing);
  clearing = window.setTimeout(() => (region.textContent = ""), 5000);
}
