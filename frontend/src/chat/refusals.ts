/** Refusals in words: what it was, which limit, when it frees, and what can be done about it. */
import { type ErrorBody, type Limit, Refused } from "./api.ts";
import { byId, el } from "./dom.ts";
import { count, when } from "./format.ts";

/** What a person is told, with the links that help. */
export interface Told {
  text: string;
  links?: { href: string; label: string }[];
}

const USAGE = { href: "/usage", label: "See what is left" };
const PLANS = { href: "/pricing", label: "See the plans" };
const BUY = { href: "/billing#packs", label: "Buy more tokens" };

function owner(limit: Limit): string {
  if (limit.scope === "*") return "of your plan";
  if (limit.scope.startsWith("key:")) return "of this key";
  if (limit.scope.startsWith("team:")) return limit.shared === false ? "that your team gives you" : "of your team";
  return `of your ${limit.shared === undefined ? "plan" : "team"} for ${limit.scope.replace(/^class:/, "")}`;
}

/** A limit of 0 was never there to be used: "openai/gpt-4o is not part of your plan." */
function notIncluded({ scope, unit, shared }: Limit): string {
  if (scope === "*") return unit === "tokens" ? "No tokens are part of your plan." : "No budget is part of your plan.";
  if (scope.startsWith("key:")) return "The limit of this key is 0.";
  if (scope.startsWith("team:")) return shared === false ? "Your team gives you nothing." : "The limit of your team is 0.";
  return `${scope.replace(/^class:/, "")} is not part of your ${shared === undefined ? "plan" : "team's plan"}.`;
}

/** "20 of the 50,000 tokens of your plan are left, too few for this message. They start anew on 1 December." */
function quotaText(limit: Limit): string {
  const most = limit.limit ?? 0;
  const tokens = limit.unit === "tokens";
  const amount = (value: number) => (tokens ? count(value) : `$${(value / 1e9).toFixed(2)}`);
  const what = `${tokens ? "tokens" : "budget"} ${owner(limit)}`;
  const left = Math.max(0, limit.remaining ?? most - limit.used - limit.held);
  if (most === 0 && left === 0 && limit.held === 0) return notIncluded(limit);
  let text =
    left === 0 && limit.held === 0
      ? `You have used all ${tokens ? `${amount(most)} ${what}` : `of the ${amount(most)} ${what}`}.`
      : `${amount(left)} of the ${amount(most)} ${what} ${tokens ? "are" : "is"} left, too little for this message.`;
  if (limit.held > 0) text += ` ${amount(limit.held)} more ${tokens ? "are" : "is"} set aside for answers that still run.`;
  const reset = limit.reset_at ? when(limit.reset_at) : "";
  if (reset) text += ` It starts anew ${reset}.`;
  return text;
}

function waitText(seconds: number): string {
  return seconds < 120 ? ` Try again in ${Math.ceil(seconds)} s.` : ` Try again in ${Math.ceil(seconds / 60)} min.`;
}

function words(body: ErrorBody, retryAfter: number | null): string {
  const limit = body.details?.limit;
  if (body.code === "quota_exceeded" && limit && typeof limit.limit === "number") return quotaText(limit);
  const waits = retryAfter !== null && retryAfter > 0 && !/\btry again in\b/i.test(body.message);
  return body.message + (waits ? waitText(retryAfter) : "");
}

/** An error of any kind, for the person it happened to. */
export function describe(error: unknown): Told {
  if (!(error instanceof Refused)) return { text: "There is no connection at the moment. Nothing was changed." };
  if (error.status === 401) {
    const href = `/login?next=${encodeURIComponent(location.pathname)}`;
    return { text: "You are signed out. Your text is kept.", links: [{ href, label: "Sign in" }] };
  }
  const text = words(error.body, error.retryAfter);
  if (error.body.code === "quota_exceeded") return { text, links: [USAGE, PLANS, BUY] };
  if (error.body.code === "model_not_allowed") return { text, links: [PLANS] };
  return { text };
}

/** Shows it above the message box until it is dismissed; null hides it. */
export function tell(told: Told | null): void {
  byId("refusal").hidden = told === null;
  if (!told) return;
  const links = (told.links ?? []).flatMap(({ href, label }, index) => [index ? " · " : " ", el("a", { href }, label)]);
  byId("refusal-text").replaceChildren(told.text, ...links);
}
