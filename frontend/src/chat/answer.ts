/** An answer while it streams, and until the server's rendering of it takes its place. */
import type { ErrorBody } from "./api.ts";
import { canonicalMessage, whenNotSelected } from "./canonical.ts";
import { el, icon } from "./dom.ts";
import type { Usage } from "./events.ts";
import { usageText } from "./format.ts";
import { LiveMarkdown } from "./live-markdown.ts";
import { action, finishBody, remedies } from "./messages.ts";
import { Assembly, countPoints } from "./points.ts";

/** Why a model gave way to another, by the code of its failure. */
const WHY: Record<string, string> = {
  upstream_overloaded: "it is overloaded",
  upstream_timeout: "it did not answer in time",
  upstream_error: "its provider failed",
  upstream_interrupted: "its provider broke off",
  upstream_invalid: "its provider sent something unreadable",
  upstream_refused: "its provider does not offer it any more",
  upstream_unconfigured: "its provider does not accept this site’s key",
  upstream_unpaid: "its provider wants payment from this site",
};

type Level = "" | "warning" | "error";

export interface AnswerHost {
  /** The answer has become taller, or another element. */
  drawn(): void;
  modelName(id: string): string;
  /** A message came as the server renders it, with the model's id for its name. */
  arrived(message: HTMLElement): void;
}

export class Answer {
  element: HTMLElement;
  readonly id: string;
  readonly assembly = new Assembly();
  settled = false;
  #live: LiveMarkdown | null = null;
  #model: string;
  /** Code points of reasoning that stand on the page. */
  #reasoned = 0;
  readonly #host: AnswerHost;

  /** Takes over `existing`, which the server rendered in mid-answer, or makes an element of its own. */
  constructor(id: string, model: string, host: AnswerHost, existing?: HTMLElement) {
    this.id = id;
    this.#model = model || (existing?.querySelector<HTMLElement>("[data-model]")?.dataset["model"] ?? "");
    this.#host = host;
    const name = host.modelName(model);
    this.element =
      existing ??
      el(
        "article",
        { class: "msg msg--answer", id: id ? `m-${id}` : undefined, "data-id": id || undefined, "data-role": "assistant", "data-status": "streaming" },
        el("h2", { class: "msg__who sr-only", "data-model": model }, name || "Answer"),
        el("div", { class: "msg__body prose", dir: "auto" }),
        el("div", { class: "msg__foot" }, el("span", { class: "msg__model", "data-model": model }, name)),
      );
    this.element.setAttribute("aria-busy", "true");
    this.element.dataset["live"] = "";
    if (!existing?.querySelector(".msg__body")?.hasChildNodes()) this.#waiting(true);
  }

  get #body(): HTMLElement {
    return this.element.querySelector<HTMLElement>(".msg__body") as HTMLElement;
  }

  get #foot(): HTMLElement {
    return this.element.querySelector<HTMLElement>(".msg__foot") as HTMLElement;
  }

  /** One of several: it can be stopped alone. */
  offerStop(): void {
    this.#foot.append(action("stop-one", "", "square", "Stop"));
  }

  /** Takes the room of `before`, whose text is about to be written again. */
  inPlaceOf(before: HTMLElement): void {
    this.element.style.minHeight = `${before.offsetHeight}px`;
  }

  delta(offset: number, text: string): void {
    const fresh = this.assembly.take(offset, text);
    if (!this.#live) {
      this.#waiting(false);
      this.#live = new LiveMarkdown(this.#body, this.#host.drawn);
      this.element.querySelector<HTMLDetailsElement>(".msg__reasoning")?.removeAttribute("open");
    }
    if (fresh) this.#live.push(fresh);
  }

  /** Reasoning only grows, but is resent whole on resume: what is before `offset` is kept, the rest replaced. */
  reason(offset: number, text: string): void {
    let box = this.element.querySelector<HTMLElement>(".msg__reasoning-text");
    if (!box) {
      box = el("div", { class: "msg__reasoning-text" });
      const fold = el("details", { class: "msg__reasoning" }, el("summary", {}, "Reasoning"), box);
      (this.element.querySelector(".waiting") ?? this.#body).before(fold);
    }
    if (offset !== this.#reasoned) {
      const kept = Array.from(box.textContent ?? "").slice(0, offset);
      box.textContent = kept.join("");
      this.#reasoned = kept.length;
    }
    box.append(text);
    this.#reasoned += countPoints(text);
    this.#host.drawn();
  }

  /** Another model took over before the first word. */
  model(model: string, reason: string): void {
    if (model === this.#model) return;
    const [before, now] = [this.#host.modelName(this.#model), this.#host.modelName(model)];
    this.#model = model;
    for (const shown of this.element.querySelectorAll<HTMLElement>("[data-model]")) {
      shown.dataset["model"] = model;
      shown.textContent = now;
    }
    const why = `${before || "The model"} could not answer${WHY[reason] ? `: ${WHY[reason]}` : ""}.`;
    this.element.querySelector(".msg__switched")?.remove();
    const note = el("p", { class: "msg__switched" }, icon("info"), el("span", {}, `${why} ${now} answers instead.`));
    (this.element.querySelector(".msg__reasoning, .waiting") ?? this.#body).before(note);
    this.#host.drawn();
  }

  completed(finishReason: string, usage: Usage | undefined): void {
    this.#close("complete");
    if (usage) this.#usage(usage);
    if (finishReason === "length") this.#note("The answer reached its limit of tokens.", "", "info", remedies(true, false));
    else if (finishReason === "quota") {
      const links = [
        el("a", { href: "/usage" }, "See what is left"),
        " · ",
        el("a", { href: "/pricing" }, "See the plans"),
        " · ",
        el("a", { href: "/billing#packs" }, "Buy more tokens"),
      ];
      this.#note("Your quota ended here, before the answer did. ", "warning", "gauge", remedies(true, false), links);
    }
  }

  stopped(): void {
    this.element.dataset["status"] = "stopped";
    this.#note("You stopped this answer.", "", "square", remedies(this.assembly.length > 0, false));
  }

  failed(error: ErrorBody): void {
    const some = this.assembly.length > 0;
    this.#close(some ? "interrupted" : "failed");
    const help = remedies(some, true);
    if (some) this.#note(`${error.message} What had arrived is kept.`, "warning", "triangle-alert", help);
    else this.#note(error.message, "error", "circle-alert", help);
  }

  /** Puts the server's rendering in this one's place. Stays as it is when that can't be had. */
  async canonical(conversationId: string): Promise<void> {
    try {
      const fresh = await canonicalMessage(conversationId, this.id);
      if (!fresh || fresh.dataset["status"] === "streaming") return;
      finishBody(fresh);
      this.#host.arrived(fresh);
      await whenNotSelected(this.element);
      const open = this.element.querySelector<HTMLDetailsElement>(".msg__reasoning")?.open ?? false;
      const focused = this.element.contains(document.activeElement);
      const switched = this.element.querySelector(".msg__switched");
      if (switched && !fresh.querySelector(".msg__switched")) fresh.querySelector(".msg__body")?.before(switched);
      this.element.replaceWith(fresh);
      this.element = fresh;
      const box = fresh.querySelector<HTMLDetailsElement>(".msg__reasoning");
      if (box && open) box.open = true;
      if (focused) fresh.querySelector<HTMLElement>("[data-keep], [data-act=copy]")?.focus();
      this.#host.drawn();
    } catch {
      // The network is away: the streamed rendering is whole and stays.
    } finally {
      delete this.element.dataset["live"];
    }
  }

  /** Three dots until the first word. */
  #waiting(on: boolean): void {
    this.element.querySelector(".waiting")?.remove();
    if (on) this.#body.before(el("p", { class: "waiting", "aria-hidden": "true" }, el("span"), el("span"), el("span")));
  }

  #close(status: string): void {
    this.settled = true;
    this.#waiting(false);
    this.#live?.end();
    this.#live = null;
    this.element.style.minHeight = "";
    this.element.dataset["status"] = status;
    this.element.removeAttribute("aria-busy");
    finishBody(this.#body);
    this.#foot.querySelector('[data-act="stop-one"]')?.remove();
    this.#foot.append(el("span", { class: "msg__actions" }, action("copy", "Copy the answer", "copy")));
  }

  #usage(usage: Usage): void {
    const text = usageText(usage);
    if (!text) return;
    this.#foot.querySelector(".msg__usage")?.remove();
    this.#foot.querySelector(".msg__model")?.after(el("span", { class: "msg__usage num" }, text));
  }

  #note(text: string, level: Level, symbol: Parameters<typeof icon>[0], help: HTMLElement, links: (Node | string)[] = []): void {
    this.element.querySelector(".msg__note")?.remove();
    const words = el("span", {}, text, ...links);
    this.#body.after(el("p", { class: `msg__note${level ? ` msg__note--${level}` : ""}` }, icon(symbol), words, help));
  }
}
