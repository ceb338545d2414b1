/** Files that go with the next message: chosen, dropped or pasted, sent at once, shown with how far they are. */
import { csrfToken, refusalOf, type ErrorBody } from "./api.ts";
import { announce, byId, el, icon } from "./dom.ts";
import { sizeText, type SentFile } from "./messages.ts";
import { describe, tell } from "./refusals.ts";

const MOST_FILES = 10;
const LARGEST = 20 * 1024 * 1024 - 4096;

interface Item {
  name: string;
  size: number;
  picture: string;
  element: HTMLLIElement;
  request: XMLHttpRequest | null;
  sent: SentFile | null;
}

export class Files {
  readonly #list = byId<HTMLUListElement>("files");
  readonly #input = byId<HTMLInputElement>("attach-input");
  readonly #button = byId<HTMLButtonElement>("attach");
  readonly #changed: () => void;
  #items: Item[] = [];
  /** One at a time: the server does not take several large bodies of one person at once. */
  #queue: { item: Item; file: File }[] = [];
  #busy = false;

  /** `changed` hears when what could be sent has changed. */
  constructor(drop: HTMLElement, changed: () => void) {
    this.#changed = changed;
    this.#button.hidden = false;
    this.#button.addEventListener("click", () => this.#input.click());
    this.#input.addEventListener("change", () => {
      this.add(this.#input.files);
      this.#input.value = "";
    });
    byId("prompt").addEventListener("paste", (event) => {
      const pasted = (event as ClipboardEvent).clipboardData;
      // A word processor offers its text as a picture too: the text is meant.
      if (!pasted?.files.length || pasted.types.includes("text/plain")) return;
      event.preventDefault();
      this.add(pasted.files);
    });
    let depth = 0;
    const over = (on: boolean) => drop.toggleAttribute("data-drop", on);
    drop.addEventListener("dragenter", (event) => holdsFiles(event) && over(++depth > 0));
    drop.addEventListener("dragleave", (event) => holdsFiles(event) && over((depth = Math.max(0, depth - 1)) > 0));
    drop.addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
    drop.addEventListener("drop", (event) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      over((depth = 0) > 0);
      this.add(event.dataTransfer?.files ?? null);
    });
  }

  /** Whether nothing is still on its way. */
  get ready(): boolean {
    return this.#items.every((item) => item.sent !== null);
  }

  get sent(): SentFile[] {
    return this.#items.flatMap((item) => item.sent ?? []);
  }

  get ids(): string[] {
    return this.sent.map((file) => file.id);
  }

  open(): void {
    this.#input.click();
  }

  add(files: FileList | null): void {
    const chosen = Array.from(files ?? []);
    const room = MOST_FILES - this.#items.length;
    const problem =
      chosen.length > room
        ? `At most ${MOST_FILES} files go with a message.`
        : chosen.some((file) => file.size > LARGEST)
          ? "A file may have 20 MB at most."
          : "";
    if (problem) tell({ text: problem });
    else if (chosen.length > 0) tell(null);
    for (const file of chosen.slice(0, Math.max(0, room))) if (file.size <= LARGEST) this.#send(file);
  }

  /** Takes the files off the box: they are in a message now. */
  take(): SentFile[] {
    const taken = this.sent;
    for (const item of this.#items) discard(item);
    this.#items = [];
    this.#draw();
    return taken;
  }

  /** Puts them back, as the message was not taken. */
  restore(files: SentFile[]): void {
    for (const sent of files) {
      const item = this.#item(sent.name, sent.size, sent.kind === "image" ? sent.url : "");
      item.sent = sent;
      item.element.removeAttribute("data-sending");
    }
    this.#draw();
  }

  #item(name: string, size: number, picture: string): Item {
    const label = picture
      ? el("img", { class: "file__picture", src: picture, alt: "" })
      : el("span", { class: "file__kind" }, icon("file-text"));
    const meter = el("progress", { class: "file__meter", max: "1", value: "0", "aria-label": `Sending ${name}` });
    const remove = el("button", { type: "button", class: "file__remove", "aria-label": `Remove ${name}`, title: "Remove" }, icon("x"));
    const words = el("span", { class: "file__words" }, el("span", { class: "file__name" }, name), el("span", { class: "file__size num" }, sizeText(size)));
    const element = el("li", { class: "file", "data-sending": true }, label, words, meter, remove);
    const item: Item = { name, size, picture, element, request: null, sent: null };
    remove.addEventListener("click", () => this.#remove(item));
    this.#items.push(item);
    this.#list.append(element);
    return item;
  }

  #send(file: File): void {
    const name = file.name || "pasted";
    const item = this.#item(name, file.size, file.type.startsWith("image/") ? URL.createObjectURL(file) : "");
    this.#queue.push({ item, file });
    this.#draw();
    if (!this.#busy) this.#next();
  }

  #next(): void {
    const { item, file } = this.#queue.shift() ?? {};
    this.#busy = item !== undefined;
    if (!item || !file) return;
    if (!this.#items.includes(item)) return this.#next();
    const form = new FormData();
    form.append("file", file, item.name);
    const request = (item.request = new XMLHttpRequest());
    const meter = item.element.querySelector("progress");
    request.upload.addEventListener("progress", (event) => {
      if (!meter || !event.lengthComputable) return;
      // The rest is the server's reading of it.
      meter.value = (event.loaded / event.total) * 0.9;
    });
    request.addEventListener("loadend", () => {
      this.#next();
      void this.#ended(item, request);
    });
    request.open("POST", "/api/attachments");
    request.setRequestHeader("x-csrftoken", csrfToken());
    request.setRequestHeader("accept", "application/json");
    request.send(form);
  }

  async #ended(item: Item, request: XMLHttpRequest): Promise<void> {
    if (!this.#items.includes(item)) return;
    item.request = null;
    if (request.status === 201) {
      item.sent = JSON.parse(request.responseText) as SentFile;
      item.element.removeAttribute("data-sending");
      announce(`${item.name} is attached.`);
      this.#draw();
      return;
    }
    this.#drop(item);
    if (request.status === 0) {
      tell({ text: `${item.name} could not be sent: there is no connection.` });
      return;
    }
    const headers = { "retry-after": request.getResponseHeader("retry-after") ?? "" };
    const refusal = await refusalOf(new Response(request.responseText, { status: request.status, headers }));
    const told = describe(refusal);
    const body: ErrorBody = refusal.body;
    tell(body.param === "file" || request.status === 413 ? { ...told, text: `${item.name}: ${told.text}` } : told);
  }

  #remove(item: Item): void {
    this.#drop(item);
    item.request?.abort();
    // What was sent and is in no message is removed by the server; sooner, when it is told.
    if (item.sent) void fetch(item.sent.url.replace(/\/content$/, ""), { method: "DELETE", headers: { "x-csrftoken": csrfToken() } }).catch(() => undefined);
    byId("prompt").focus();
  }

  #drop(item: Item): void {
    discard(item);
    this.#items = this.#items.filter((one) => one !== item);
    this.#draw();
  }

  #draw(): void {
    this.#list.hidden = this.#items.length === 0;
    this.#changed();
  }
}

function discard(item: Item): void {
  item.element.remove();
  if (item.picture.startsWith("blob:")) URL.revokeObjectURL(item.picture);
}

function holdsFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
