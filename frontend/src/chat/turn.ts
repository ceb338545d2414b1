/** One turn on the page: its question, its answers, and the connection that fills them. */
import type { Limit } from "./api.ts";
import { Connection, type Opening } from "./connection.ts";
import { announce } from "./dom.ts";
import type { TurnEvent } from "./events.ts";
import { Answer } from "./messages.ts";

export interface TurnHost {
  started(conversationId: string): void;
  titled(conversationId: string, title: string): void;
  quota(limits: Limit[]): void;
  line(state: "reconnecting" | null): void;
  grew(): void;
  modelName(id: string): string;
  /** A message came as the server renders it, with the model's id for its name. */
  arrived(message: HTMLElement): void;
}

export class Turn {
  readonly connection: Connection;
  readonly block: HTMLElement;
  conversationId: string;
  #answers: Answer[] = [];
  #stopped = false;
  #placeholder: Answer | null = null;
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
  expect(model: string): void {
    this.#placeholder = new Answer("pending", model, this.#host.modelName(model), () => this.#host.grew());
    this.#placeholder.element.removeAttribute("id");
    this.block.append(this.#placeholder.element);
  }

  /** Takes over an answer that the server rendered while it was still being written. */
  adopt(element: HTMLElement): void {
    const id = element.dataset["id"] ?? "";
    const answer = new Answer(id, "", "", () => this.#host.grew(), element);
    if (!element.querySelector(".msg__body")?.hasChildNodes()) answer.waiting(true);
    this.#answers.push(answer);
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  markStopped(): void {
    this.#stopped = true;
  }

  /** The server's rendering of every answer. */
  async settle(): Promise<void> {
    await Promise.all(this.#answers.map((answer) => answer.canonical(this.conversationId, (message) => this.#host.arrived(message))));
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
        this.#find(event.data.message_id)?.model(this.#host.modelName(event.data.model), event.data.reason ?? "");
        break;
      case "message.completed": {
        const answer = this.#find(event.data.message_id);
        if (!answer || answer.settled) break;
        answer.completed(event.data.finish_reason ?? "", event.data.usage);
        if (this.#stopped) answer.stopped();
        announce(this.#stopped ? "Stopped." : "The answer is complete.");
        break;
      }
      case "message.failed": {
        const answer = this.#find(event.data.message_id);
        if (!answer || answer.settled) break;
        answer.failed(event.data.error);
        announce(`The answer failed: ${event.data.error.message}`);
        break;
      }
      case "conversation.updated":
        this.#host.titled(event.data.conversation_id, event.data.title);
        break;
      case "turn.completed":
        if (event.data.quota) this.#host.quota(event.data.quota);
        break;
    }
    this.#host.grew();
  }

  #start(data: Extract<TurnEvent, { name: "turn.started" }>["data"]): void {
    this.conversationId = data.conversation_id;
    const question = this.block.querySelector<HTMLElement>(".msg--user");
    if (question && !question.dataset["id"]) {
      question.dataset["id"] = data.user_message_id;
      question.id = `m-${data.user_message_id}`;
    }
    for (const { message_id: id, model } of data.messages) {
      if (this.#find(id)) continue;
      const answer = new Answer(id, model, this.#host.modelName(model), () => this.#host.grew());
      this.#answers.push(answer);
      if (this.#placeholder) {
        this.#placeholder.element.replaceWith(answer.element);
        this.#placeholder = null;
      } else this.block.append(answer.element);
    }
    this.#host.started(data.conversation_id);
  }
}
