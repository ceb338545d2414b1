/** Bringing in conversations from a file. Fetched when it is asked for. */
import { csrfToken, refusalOf } from "./api.ts";
import { byId } from "./dom.ts";
import { describe } from "./refusals.ts";

interface Imported {
  conversations: number;
  messages: number;
  skipped: number;
  reasons: { index: number; reason: string }[];
}

const LARGEST = 20 * 1024 * 1024;
let finished: () => void = () => {};

const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

function say(text: string, kind = ""): void {
  const status = byId("import-status");
  status.textContent = text;
  status.className = text ? `notice ${kind}` : "";
}

async function send(file: File): Promise<Imported> {
  const zip = file.name.toLowerCase().endsWith(".zip");
  const response = await fetch("/api/conversations/import", {
    method: "POST",
    credentials: "same-origin",
    headers: {
      accept: "application/json",
      "content-type": zip ? "application/zip" : "application/json",
      "x-csrftoken": csrfToken(),
    },
    body: file,
  });
  if (!response.ok) throw await refusalOf(response);
  return (await response.json()) as Imported;
}

async function submit(event: Event): Promise<void> {
  event.preventDefault();
  const file = byId<HTMLInputElement>("import-file").files?.[0];
  const button = byId<HTMLButtonElement>("import-send");
  if (!file || button.disabled) return;
  if (file.size > LARGEST) return say("The file is larger than 20 MiB.", "notice--error");
  button.disabled = true;
  say("Reading the file…");
  try {
    const { conversations, messages, skipped, reasons } = await send(file);
    const left = skipped ? ` ${skipped} could not be read: ${reasons[0]?.reason ?? ""}` : "";
    say(`${many(conversations, "conversation")} with ${many(messages, "message")} came in.${left}`, skipped ? "notice--warning" : "notice--success");
    if (conversations) finished();
  } catch (error) {
    say(describe(error).text, "notice--error");
  } finally {
    button.disabled = false;
  }
}

let ready = false;

export function openImport(done: () => void): void {
  const dialog = byId<HTMLDialogElement>("import");
  finished = done;
  if (!ready) {
    ready = true;
    dialog.querySelector("form")?.addEventListener("submit", (event) => void submit(event));
    dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
  }
  byId<HTMLInputElement>("import-file").value = "";
  say("");
  dialog.showModal();
}
