/** What the message in the box may cost at most, asked while it is written. Sending decides, not this. */
import { csrfToken, refusalOf, Refused } from "./api.ts";
import { byId } from "./dom.ts";
import type { SendBody } from "./events.ts";
import { count, dollarsAtMost } from "./format.ts";
import { describe } from "./refusals.ts";

const WAIT_MS = 500;

interface Quote {
  max_tokens: number;
  max_cost_usd: string;
}

export class QuoteView {
  readonly #body: () => SendBody | null;
  #timer = 0;
  #asking: AbortController | null = null;

  /** `body` is what would be sent now, null when there is nothing to send. */
  constructor(body: () => SendBody | null) {
    this.#body = body;
  }

  /** What would be sent, or what is left, has changed. */
  changed(): void {
    window.clearTimeout(this.#timer);
    this.#asking?.abort();
    if (this.#body() === null) this.#show("");
    else this.#timer = window.setTimeout(() => void this.#ask(), WAIT_MS);
  }

  async #ask(): Promise<void> {
    const body = this.#body();
    if (body === null) return;
    const asking = (this.#asking = new AbortController());
    try {
      const response = await fetch("/api/chat/quote", {
        method: "POST",
        headers: { accept: "application/json", "content-type": "application/json", "x-csrftoken": csrfToken() },
        credentials: "same-origin",
        body: JSON.stringify(body),
        signal: asking.signal,
      });
      if (!response.ok) throw await refusalOf(response);
      const quote = (await response.json()) as Quote;
      if (!asking.signal.aborted) this.#show(words(quote));
    } catch (error) {
      if (asking.signal.aborted) return;
      this.#show(error instanceof Refused && error.status < 500 ? describe(error).text : "", true);
    }
  }

  #show(text: string, refused = false): void {
    const quote = byId("quote");
    quote.textContent = text;
    quote.hidden = text === "";
    quote.classList.toggle("composer__quote--refused", refused);
    byId("composer-hint").hidden = text !== "";
  }
}

function words(quote: Quote): string {
  const cost = Number(quote.max_cost_usd);
  const answer = `an answer of up to ${count(quote.max_tokens)} tokens`;
  return cost > 0 ? `At most ${dollarsAtMost(cost)}, for ${answer}.` : `Free, ${answer}.`;
}
