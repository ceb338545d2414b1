/** The message box: grows with its text, keeps a draft per conversation, Enter sends. */
import { byId } from "./dom.ts";
import { Files } from "./files.ts";
import { count } from "./format.ts";

const LONGEST = 100_000;
const COUNT_FROM = 80_000;
const PREFIX = "draft:";

export class Composer {
  readonly #form = byId<HTMLFormElement>("composer");
  readonly #text = byId<HTMLTextAreaElement>("prompt");
  readonly #send = byId<HTMLButtonElement>("send");
  readonly #stop = byId<HTMLButtonElement>("stop");
  readonly #count = byId("count");
  readonly #heard: () => void;
  readonly files: Files;
  #draft: string;
  #keeps = true;
  #busy = false;
  #ready = false;
  #saving = 0;

  /** `changed` hears of every change of what could be sent. */
  constructor(conversationId: string, send: (text: string) => void, stop: () => void, changed: () => void) {
    this.#heard = changed;
    this.files = new Files(byId("column"), () => this.#changed());
    this.#draft = PREFIX + (conversationId || "new");
    this.#text.value = this.#text.value || read(this.#draft);
    this.#text.addEventListener("input", () => {
      this.#changed();
      window.clearTimeout(this.#saving);
      this.#saving = window.setTimeout(() => this.#save(), 300);
    });
    window.addEventListener("pagehide", () => this.#save());
    this.#text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.#form.requestSubmit();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#text.value;
      if (!this.#canSend()) return;
      send(text);
    });
    this.#stop.addEventListener("click", (event) => {
      stop();
      // The button goes away. A finger's tap keeps the focus: a phone's keyboard would cover the answer.
      if (event.detail === 0 || matchMedia("(hover: hover)").matches) this.focus();
    });
    this.#changed();
  }

  get text(): string {
    return this.#text.value;
  }

  /** Whether what is in the box could be sent now. */
  get sendable(): boolean {
    return this.#canSend();
  }

  /** The text was taken: the box is empty, the draft stays until the server has the message. */
  clear(): void {
    this.#text.value = "";
    this.#changed();
  }

  /** Gives text back, unless something else was written meanwhile. */
  restore(text: string): void {
    if (this.#text.value.trim() === "") this.#text.value = text;
    else if (this.#text.value !== text) this.#text.value = `${text}\n\n${this.#text.value}`;
    this.#changed();
    this.#save();
    this.focus();
  }

  put(text: string): void {
    this.#text.value = text;
    this.#changed();
    this.focus();
  }

  /** The server has the message: the draft under the old address is done with. */
  committed(conversationId: string): void {
    if (this.#keeps) write(this.#draft, this.#text.value);
    const next = PREFIX + conversationId;
    if (next === this.#draft) return;
    write(this.#draft, "");
    this.#draft = next;
    this.#save();
  }

  focus(): void {
    this.#text.focus();
  }

  set busy(busy: boolean) {
    this.#busy = busy;
    this.#stop.hidden = !busy;
    this.#send.hidden = busy;
    this.#changed();
  }

  /** Whether what is written stays in this browser until it is sent. */
  set keepsDraft(keeps: boolean) {
    this.#keeps = keeps;
    if (!keeps) write(this.#draft, "");
  }

  set stoppable(can: boolean) {
    this.#stop.disabled = !can;
  }

  /** A model is chosen, so a message can go. */
  set ready(ready: boolean) {
    this.#ready = ready;
    this.#changed();
  }

  #canSend(): boolean {
    const length = this.#text.value.trim().length;
    return this.#ready && !this.#busy && length > 0 && this.#text.value.length <= LONGEST && (this.files?.ready ?? false);
  }

  #changed(): void {
    const length = this.#text.value.length;
    this.#send.disabled = !this.#canSend();
    this.#count.hidden = length < COUNT_FROM;
    if (length >= COUNT_FROM) this.#count.textContent = `${count(length)} of ${count(LONGEST)}`;
    this.#heard();
    if (CSS.supports("field-sizing", "content")) return;
    this.#text.style.height = "auto";
    this.#text.style.height = `${this.#text.scrollHeight}px`;
  }

  #save(): void {
    if (!this.#keeps) return;
    // While a message is on its way the draft is that message, not the empty box.
    if (this.#busy && this.#text.value === "") return;
    write(this.#draft, this.#text.value);
  }
}

function read(key: string): string {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return "";
  }
}

function write(key: string, text: string): void {
  try {
    if (text.trim() === "") localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    // Storage is off or full: the text is still in the box.
  }
}
