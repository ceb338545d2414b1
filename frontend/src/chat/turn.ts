/** One turn on the page: its question, its answers, and the connection that fills them. */
import { Answer, type AnswerHost } from "./answer.ts";
import { call, type Limit } from "./api.ts";
import { Connection, type Opening } from "./connection.ts";
import { announce, el } from "./dom.ts";
import type { TurnEvent } from "./events.ts";

export interface TurnHost extends AnswerHost {
  started(conversationId: string): void;
  titled(conversationId: string, title: string): void;
  limits(limits: Limit[]): void;
  line(state: "reconnecting" | null): void;
}

/** The frame of answers that stand side by side: as `chat/messages.html` of the server. */
function comparison(answers: HTMLElement[]): HTMLElement {
  return el(
    "section",
    { class: "compare", "aria-label": "Answers side by side" },
    el("div", { class: "columns", role: "group", "aria-label": "Answers", tabindex: "0" }, ...answers),
    el("p", { class: "compare__hint" }, "Keep one to go on from it. Until then your next message follows the first."),
  );
}

export class Turn {
  readonly connection: Connection;
  readonly block: HTMLElement;
  conversationId: string;
  #answers: Answer[] = [];
  #stopped = new Set<string>();
  #places: HTMLElement[] = [];
  #rewriting = false;
  #arrivals: Promise<void>[] = [];
  readonly #host: TurnHost;

  constructor(opening: Opening, block: HTMLElement, conversationId: string, host: TurnHost) {
    this.block = block;
    this.conversationId = conversationId;
    this.#host = host;
    this.connection = new Connection(opening, {
      event: (event) => this.#event(event),
      line: (state) => host.line(state),
      position: () => this.#position(),
    });
  }

  /** Shows that something is on its way before the server has said what. */
  expect(models: string[]): void {
    this.#places = models.map((model) => new Answer("", model, this.#host).element);
    this.block.append(...(models.length > 1 ? [comparison(this.#places)] : this.#places));
  }

  /** The answer will stand in the place of `element`, which stays until it comes. */
  rewrite(element: HTMLElement): void {
    this.#places = [element];
    this.#rewriting = true;
  }

  /** Takes over answers that the server rendered while they were still being written. */
  adopt(elements: HTMLElement[]): void {
    this.#answers = elements.map((element) => new Answer(element.dataset["id"] ?? "", "", this.#host, element));
    // Those beside it may have ended before the page was read: it is one of several all the same.
    if (elements[0]?.closest(".columns")) for (const answer of this.#answers) answer.offerStop();
  }

  /** Whether an answer was stopped from this page. */
  get stopped(): boolean {
    return this.#stopped.size > 0;
  }

  /** Stops the answers that still run, or one of them. Rejects when the server can't be told. */
  async stop(messageId?: string): Promise<void> {
    const running = this.#answers.filter((answer) => !answer.settled && (!messageId || answer.id === messageId));
    for (const answer of running) this.#stopped.add(answer.id);
    await call("POST", `/api/chat/stream/${this.connection.turnId}/stop`, messageId ? { message_id: messageId } : undefined);
  }

  /** Resolves when the server's rendering of every answer stands on the page, or can't be had. */
  async settle(): Promise<void> {
    await Promise.all(this.#arrivals);
  }

  #position(): string {
    const lengths = this.#answers.map((answer) => answer.assembly.length);
    return lengths.some((length) => length > 0) ? lengths.join(",") : "";
  }

  #find(id: string): Answer | undefined {
    return this.#answers.find((answer) => answer.id === id);
  }

  #event(event: TurnEvent): void {
    switch (event.name) {
      case "turn.started":
        this.#start(event.data);
        break;
      case "message.delta":
        this.#find(event.data.message_id)?.delta(event.data.offset, event.data.text);
        break;
      case "message.reasoning":
        this.#find(event.data.message_id)?.reason(event.data.offset, event.data.text);
        break;
      case "message.model":
        this.#find(event.data.message_id)?.model(event.data.model, event.data.reason ?? "");
        break;
      case "message.completed": {
        const answer = this.#find(event.data.message_id);
        if (!answer || answer.settled) break;
        answer.completed(event.data.finish_reason ?? "", event.data.usage);
        const stopped = this.#stopped.has(answer.id);
        if (stopped) answer.stopped();
        this.#ended(answer, stopped ? "Stopped." : "The answer is complete.");
        break;
      }
      case "message.failed": {
        const answer = this.#find(event.data.message_id);
        if (!answer || answer.settled) break;
        answer.failed(event.data.error);
        this.#ended(answer, `The answer failed: ${event.data.error.message}`);
        break;
      }
      case "conversation.updated":
        this.#host.titled(event.data.conversation_id, event.data.title);
        break;
      case "turn.completed":
        if (event.data.quota) this.#host.limits(event.data.quota);
        break;
    }
    this.#host.drawn();
  }

  /** The row is final before the event is sent, so its rendering can be asked for at once. */
  #ended(answer: Answer, words: string): void {
    const left = this.#answers.filter((one) => !one.settled).length;
    announce(left === 0 ? words : `${words} ${left} still ${left === 1 ? "runs" : "run"}.`);
    this.#arrivals.push(answer.canonical(this.conversationId));
  }

  #start(data: Extract<TurnEvent, { name: "turn.started" }>["data"]): void {
    this.conversationId = data.conversation_id;
    const question = this.block.querySelector<HTMLElement>(".msg--user");
    if (question && !question.dataset["id"]) {
      question.dataset["id"] = data.user_message_id;
      question.id = `m-${data.user_message_id}`;
    }
    const several = data.messages.length > 1;
    data.messages.forEach(({ message_id: id, model }, at) => {
      // What had ended before the page was read stands there as it is.
      if (this.#find(id) || this.block.querySelector(`[data-id="${CSS.escape(id)}"]`)) return;
      const answer = new Answer(id, model, this.#host);
      if (several) answer.offerStop();
      this.#answers.push(answer);
      const place = this.#places[at];
      if (place && this.#rewriting) answer.inPlaceOf(place);
      if (place) place.replaceWith(answer.element);
      else (this.block.querySelector(".columns") ?? this.block).append(answer.element);
    });
    this.#places = [];
    this.#host.started(data.conversation_id);
  }
}
