/**
 * The server's HTML of messages. The only place of the front end where a string becomes markup: it
 * comes from our own origin and has passed the server's sanitiser as its last step.
 */
import { csrfToken } from "./api.ts";

async function read(address: string, form?: FormData): Promise<DocumentFragment | null> {
  const response = await fetch(address, {
    credentials: "same-origin",
    redirect: "error",
    headers: { accept: "text/html", ...(form ? { "x-csrftoken": csrfToken() } : {}) },
    ...(form ? { method: "POST", body: form } : {}),
  });
  if (!response.ok) return null;
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  return template.content;
}

export async function canonicalMessage(conversationId: string, messageId: string): Promise<HTMLElement | null> {
  const found = await read(`/c/${conversationId}/messages/${messageId}`);
  return found?.querySelector<HTMLElement>("article.msg") ?? null;
}

/** The messages of the branch that is shown; with `form`, after it has chosen another branch. Null when refused. */
export function canonicalThread(conversationId: string, form?: FormData): Promise<DocumentFragment | null> {
  return read(`/c/${conversationId}${form ? "/show" : ""}?part=thread`, form);
}

/** The receipt of an answer at `address`. Null when there is none. */
export async function canonicalReceipt(address: string): Promise<HTMLElement | null> {
  return (await read(`${address}?part=receipt`))?.querySelector<HTMLElement>(".receipt-rows") ?? null;
}

/** Waits while the reader has text of this element selected: replacing it would take that away. */
export function whenNotSelected(element: HTMLElement): Promise<void> {
  const selected = () => {
    const selection = document.getSelection();
    return !!selection && !selection.isCollapsed && selection.containsNode(element, true);
  };
  if (!selected()) return Promise.resolve();
  return new Promise((resolve) => {
    const check = () => {
      if (selected()) return;
      document.removeEventListener("selectionchange", check);
      resolve();
    };
    document.addEventListener("selectionchange", check);
  });
}
