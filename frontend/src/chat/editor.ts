/** A person's own words, changed in their place. The old version stays beside the new one. */
import { el } from "./dom.ts";

const LONGEST = 100_000;

/** Opens the editor in `message`, with its text or a `draft`; `save` gets the new text. One editor a message. */
export function edit(message: HTMLElement, save: (text: string) => void, draft?: string): void {
  const shown = message.querySelector<HTMLElement>(".msg__text");
  const actions = message.querySelector<HTMLElement>(".msg__actions");
  if (!shown || !actions || message.querySelector(".editor")) return;
  const before = draft ?? shown.textContent ?? "";
  const text = el("textarea", {
    class: "editor__text",
    "aria-label": "Your message",
    maxlength: String(LONGEST),
    dir: "auto",
    rows: "2",
  });
  text.value = before;
  const send = el("button", { type: "submit", class: "button button--primary button--sm", "data-changes": true }, "Send");
  const cancel = el("button", { type: "button", class: "button button--ghost button--sm" }, "Cancel");
  const hint = el("span", { class: "editor__hint" }, "Your earlier words are kept as another version.");
  const form = el("form", { class: "editor" }, text, el("div", { class: "editor__row" }, hint, el("div", { class: "editor__buttons" }, cancel, send)));

  const close = () => {
    form.remove();
    shown.hidden = actions.hidden = false;
  };
  const changed = () => {
    send.disabled = text.value.trim() === "";
    if (CSS.supports("field-sizing", "content")) return;
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  };
  cancel.addEventListener("click", () => {
    close();
    actions.querySelector<HTMLElement>('[data-act="edit"]')?.focus();
  });
  text.addEventListener("input", changed);
  text.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") cancel.click();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(send);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (send.disabled) return;
    close();
    save(text.value);
  });
  shown.hidden = actions.hidden = true;
  message.append(form);
  changed();
  text.focus();
  text.setSelectionRange(before.length, before.length);
}
