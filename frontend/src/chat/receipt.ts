/** The receipt of an answer, over the page. Without a script its link opens a page of its own. */
import { canonicalReceipt } from "./canonical.ts";
import { byId, el } from "./dom.ts";

const NONE = "There is no receipt to show at the moment.";

export async function showReceipt(link: HTMLAnchorElement): Promise<void> {
  const dialog = byId<HTMLDialogElement>("receipt");
  const body = byId("receipt-body");
  body.replaceChildren(el("p", { class: "spinner", role: "status", "aria-label": "Reading the receipt" }));
  dialog.showModal();
  const found = await canonicalReceipt(link.pathname).catch(() => null);
  body.replaceChildren(found ?? el("p", {}, NONE));
}

/** Follows clicks on figures below answers, unless they ask for another tab. */
export function listenToReceipts(thread: HTMLElement): void {
  thread.addEventListener("click", (event) => {
    const link = (event.target as HTMLElement).closest<HTMLAnchorElement>("a[data-receipt]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    void showReceipt(link);
  });
}
