/**
 * One turn, followed to its end: sends it at most once, and comes back by itself when the network goes.
 * What is seen twice is sorted out by offsets (points.ts), so coming back never doubles a character.
 */
import { csrfToken, refusalOf, Refused } from "./api.ts";
import type { AgainBody, SendBody, TurnEvent } from "./events.ts";
import { Gap } from "./points.ts";
import { SseParser } from "./sse.ts";

/** The server writes a comment after 15 s of silence: this long without a byte is a dead line. */
const DEAD_AFTER_MS = 40_000;
/** A turn that is known is answered at once: without headers by then, the line leads nowhere. */
const ANSWERED_WITHIN_MS = 10_000;
/** After a sleep no timer has counted: a line that was silent for longer than this is not waited for. */
const DOUBTFUL_AFTER_MS = 20_000;
const CLOSES_WITHIN_MS = 5000;
const LONGEST_PAUSE_MS = 10_000;
/** A message that could not be handed over is given back to its writer after this long. */
const GIVE_UP_SENDING_MS = 90_000;

export interface Follower {
  event(event: TurnEvent): void;
  /** What the line is doing, for a quiet note; null when all is well. */
  line(state: "reconnecting" | null): void;
  /** Ids of what has arrived, in the form of Last-Event-ID; "" for everything. */
  position(): string;
}

/** A turn that runs already, or where and with what one is begun. */
export interface Opening {
  turnId?: string;
  path?: string;
  body?: SendBody | AgainBody;
  key?: string;
}

type Ending = { kind: "finished" } | { kind: "refused"; refusal: Refused } | { kind: "unsent" };

function unlessWoken(pause: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      window.clearTimeout(timer);
      window.removeEventListener("online", done);
      document.removeEventListener("visibilitychange", seen);
      resolve();
    };
    const seen = () => {
      if (!document.hidden) done();
    };
    const timer = window.setTimeout(done, pause);
    window.addEventListener("online", done);
    document.addEventListener("visibilitychange", seen);
  });
}

/** Reads what is left, which is nothing but the end. */
async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await reader.read()).done);
  } catch {
    // Everything had arrived.
  }
}

export class Connection {
  turnId: string | null;
  readonly #opening: Opening;
  readonly #follower: Follower;
  #abort: AbortController | null = null;
  #ended = false;
  #heard = 0;

  constructor(opening: Opening, follower: Follower) {
    this.#opening = opening;
    this.#follower = follower;
    this.turnId = opening.turnId ?? null;
  }

  /** Resolves when the turn is over, was refused, or could not be handed over. */
  async run(): Promise<Ending> {
    window.addEventListener("online", this.#doubt);
    document.addEventListener("visibilitychange", this.#woken);
    try {
      return await this.#attempts();
    } finally {
      window.removeEventListener("online", this.#doubt);
      document.removeEventListener("visibilitychange", this.#woken);
    }
  }

  /** The network has changed: what the old one still carries is not known, and coming back is cheap. */
  readonly #doubt = (): void => this.#abort?.abort();

  readonly #woken = (): void => {
    if (!document.hidden && Date.now() - this.#heard > DOUBTFUL_AFTER_MS) this.#doubt();
  };

  async #attempts(): Promise<Ending> {
    const began = performance.now();
    for (let failures = 0; ; failures++) {
      if (failures > 0) {
        this.#follower.line("reconnecting");
        const pause = Math.min(LONGEST_PAUSE_MS, 250 * 2 ** (failures - 1));
        await unlessWoken(pause * (0.75 + Math.random() / 2));
      }
      try {
        const response = await this.#answered();
        if (!response.ok) {
          const refusal = await refusalOf(response);
          const passing = response.status >= 500 || response.status === 429;
          // A turn that is known is only being watched: a busy server is asked again.
          if (this.turnId !== null && passing) continue;
          this.#follower.line(null);
          return { kind: "refused", refusal };
        }
        if (await this.#read(response, () => (failures = 0))) {
          // The server closes now: cutting it off would cost the next request a new connection.
          const line = this.#abort;
          this.#abort = null;
          window.setTimeout(() => line?.abort(), CLOSES_WITHIN_MS);
          return { kind: "finished" };
        }
      } catch (error) {
        if (error instanceof Gap) failures = 0;
      } finally {
        this.#abort?.abort();
        this.#abort = null;
      }
      if (this.turnId === null && performance.now() - began > GIVE_UP_SENDING_MS) {
        this.#follower.line(null);
        return { kind: "unsent" };
      }
    }
  }

  async #answered(): Promise<Response> {
    const abort = (this.#abort = new AbortController());
    const wait = this.turnId === null ? DEAD_AFTER_MS : ANSWERED_WITHIN_MS;
    const timer = window.setTimeout(() => abort.abort(), wait);
    try {
      return await this.#open(abort.signal);
    } finally {
      window.clearTimeout(timer);
    }
  }

  #open(signal: AbortSignal): Promise<Response> {
    this.#heard = Date.now();
    const common = { credentials: "same-origin", signal } as const;
    if (this.turnId !== null) {
      const position = this.#follower.position();
      return fetch(`/api/chat/stream/${this.turnId}`, {
        ...common,
        headers: { accept: "text/event-stream", ...(position ? { "last-event-id": position } : {}) },
      });
    }
    return fetch(this.#opening.path ?? "/api/chat/stream", {
      ...common,
      method: "POST",
      headers: {
        accept: "text/event-stream",
        "content-type": "application/json",
        "x-csrftoken": csrfToken(),
        "idempotency-key": this.#opening.key ?? "",
      },
      body: JSON.stringify(this.#opening.body),
    });
  }

  /** Reads until the turn's last event (true) or the end of the line (false). */
  async #read(response: Response, alive: () => void): Promise<boolean> {
    if (!response.body) return false;
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    let watch = 0;
    const rearm = () => {
      this.#heard = Date.now();
      window.clearTimeout(watch);
      watch = window.setTimeout(() => this.#abort?.abort(), DEAD_AFTER_MS);
    };
    try {
      for (;;) {
        rearm();
        const { done, value } = await reader.read();
        if (done) return this.#ended;
        for (const { event, data, id } of parser.push(decoder.decode(value, { stream: true }))) {
          alive();
          this.#follower.line(null);
          const message = { name: event, data: JSON.parse(data) as unknown, id } as TurnEvent;
          if (message.name === "turn.started") this.turnId = message.data.turn_id;
          this.#follower.event(message);
          if (message.name === "turn.completed") {
            this.#ended = true;
            void drain(reader);
            return true;
          }
        }
      }
    } finally {
      window.clearTimeout(watch);
    }
  }
}

/** A key that no other send has. Not every page is a secure context, so not randomUUID. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
