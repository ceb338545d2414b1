/** The share link of a conversation: made, looked at, frozen anew, ended. Fetched when it is asked for. */
import { call, Refused } from "./api.ts";
import { announce, byId } from "./dom.ts";
import { describe } from "./refusals.ts";
import { review } from "./share-review.ts";

interface Link {
  url: string | null;
  views: number;
  has_password: boolean;
  include_system: boolean;
  allow_continue: boolean;
  message_count: number;
  frozen_at: string;
  expires_at: string | null;
}

const box = (id: string): HTMLInputElement => byId<HTMLInputElement>(id);
const day = (at: string): string => new Date(at).toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });
let conversation = "";
let link: Link | null = null;
let ready = false;

function say(text: string): void {
  byId("share-problem").textContent = text;
  byId("share-problem").hidden = text === "";
}

function facts({ views, message_count, frozen_at, expires_at, has_password }: Link): string {
  return [
    `Shows ${message_count} ${message_count === 1 ? "message" : "messages"} as of ${day(frozen_at)}`,
    `${views} ${views === 1 ? "view" : "views"}`,
    expires_at ? `ends ${day(expires_at)}` : "without an end",
    has_password ? "with a password" : "without a password",
  ].join(" · ");
}

function draw(): void {
  const there = link !== null;
  byId("share-link").hidden = !there;
  byId("share-end").hidden = !there;
  byId("share-send").textContent = there ? "Update the link" : "Make a link";
  byId("share-kept").hidden = !link?.has_password;
  box("share-open").checked = false;
  box("share-password").value = "";
  box("share-system").checked = link?.include_system ?? false;
  box("share-continue").checked = link?.allow_continue ?? false;
  byId<HTMLSelectElement>("share-expires").value = there ? "keep" : "0";
  byId("share-expires").querySelector<HTMLOptionElement>("[value=keep]")!.hidden = !there;
  if (!link) return;
  box("share-url").value = link.url ?? "The address can’t be shown any more. End the link and make a new one.";
  byId("share-facts").textContent = facts(link);
}

/** Runs one request with the dialog's buttons off; what goes wrong is said in it. */
async function busy(work: () => Promise<void>): Promise<void> {
  const buttons = byId("share").querySelectorAll<HTMLButtonElement>("button");
  for (const button of buttons) button.disabled = true;
  say("");
  try {
    await work();
  } catch (error) {
    say(describe(error).text);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

const save = (): Promise<void> =>
  busy(async () => {
    const expires = byId<HTMLSelectElement>("share-expires").value;
    const password = box("share-password").value;
    const terms: Record<string, unknown> = {
      include_system: box("share-system").checked,
      allow_continue: box("share-continue").checked,
    };
    if (expires !== "keep") terms["expires_in"] = Number(expires);
    if (password) terms["password"] = password;
    else if (box("share-open").checked) terms["password"] = "";
    const fresh = link === null;
    link = await call("POST", `/api/conversations/${conversation}/share`, terms);
    draw();
    announce(fresh ? "The link is there." : "The link shows the conversation as it is now.");
    box("share-url").select();
  });

const end = (): Promise<void> =>
  busy(async () => {
    await call("DELETE", `/api/conversations/${conversation}/share`);
    link = null;
    draw();
    announce("The link has ended.");
  });

/** Says what in the conversation one may not want to publish; when it can't be read, nothing. */
async function warn(): Promise<void> {
  const notice = byId("share-review");
  notice.hidden = true;
  const asked = conversation;
  const answer = await fetch(`/api/conversations/${asked}/export?format=txt`, { credentials: "same-origin" }).catch(() => null);
  const found = answer?.ok ? review(await answer.text()) : [];
  if (asked !== conversation || found.length === 0) return;
  notice.textContent = `It seems to have in it: ${found.join(", ")}.`;
  notice.hidden = false;
}

async function copy(): Promise<void> {
  box("share-url").select();
  await navigator.clipboard.writeText(box("share-url").value).catch(() => undefined);
  announce("Copied.");
  byId("share-copied").hidden = false;
}

function start(dialog: HTMLDialogElement): void {
  ready = true;
  dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
  dialog.querySelector("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    void save();
  });
  byId("share-end").addEventListener("click", () => void end());
  byId("share-copy").addEventListener("click", () => void copy());
}

export async function openShare(id: string): Promise<void> {
  const dialog = byId<HTMLDialogElement>("share");
  if (!ready) start(dialog);
  conversation = id;
  link = null;
  byId("share-copied").hidden = true;
  draw();
  dialog.showModal();
  void warn();
  await busy(async () => {
    try {
      link = await call("GET", `/api/conversations/${id}/share`);
    } catch (error) {
      if (!(error instanceof Refused && error.status === 404)) throw error;
    }
    draw();
  });
}
