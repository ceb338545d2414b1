/**
 * The server's HTML of a finished message. The only place of the front end where a string becomes
 * markup: it comes from our own origin and has passed the server's sanitiser as its last step.
 */
export async function canonicalMessage(conversationId: string, messageId: string): Promise<HTMLElement | null> {
  const response = await fetch(`/c/${conversationId}/messages/${messageId}`, {
    credentials: "same-origin",
    headers: { accept: "text/html" },
    redirect: "error",
  });
  if (!response.ok) return null;
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  return template.content.querySelector<HTMLElement>("article.msg");
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
