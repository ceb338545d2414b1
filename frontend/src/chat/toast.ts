/** A line at the bottom that says what was done, with a way back for some seconds. One at a time. */
import { byId } from "./dom.ts";

const SHOWN_MS = 10_000;
let leaving = 0;
let undone: (() => void) | null = null;

function hide(): void {
  window.clearTimeout(leaving);
  if (byId("toast").matches(":popover-open")) byId("toast").hidePopover();
}

function wait(): void {
  window.clearTimeout(leaving);
  leaving = window.setTimeout(hide, SHOWN_MS);
}

/** Says `text`; `undo` is what its button does, none without. */
export function toast(text: string, undo: (() => void) | null = null): void {
  hide();
  undone = undo;
  byId("toast-text").textContent = text;
  byId("toast-undo").hidden = undo === null;
  byId("toast").showPopover(); // anew, so that it lies above what was opened meanwhile
  wait();
}

export function startToasts(): void {
  const box = byId("toast");
  byId("toast-undo").addEventListener("click", () => {
    hide();
    undone?.();
  });
  byId("toast-close").addEventListener("click", hide);
  // Whoever is about to use it is given the time to.
  for (const event of ["pointerenter", "focusin"]) box.addEventListener(event, () => window.clearTimeout(leaving));
  for (const event of ["pointerleave", "focusout"]) box.addEventListener(event, wait);
}
