/** Numbers and times as people read them, in the reader's own zone. */
import type { ErrorBody, Limit } from "./api.ts";
import type { Usage } from "./events.ts";

const NUMBER = new Intl.NumberFormat("en");

export const count = (value: number): string => NUMBER.format(value);

/** 128k, 1M. */
export function short(value: number): string {
  if (value >= 1_000_000) return `${(value / 1_000_000).toFixed(1).replace(/\.0$/, "")}M`;
  return value >= 1000 ? `${Math.floor(value / 1000)}k` : String(value);
}

export function usageText(usage: Usage): string {
  const parts: string[] = [];
  if (typeof usage.total_tokens === "number") parts.push(`${count(usage.total_tokens)} tokens`);
  if (usage.cost_usd) parts.push(`$${usage.cost_usd}`);
  if (usage.estimated) parts.push("estimated");
  return parts.join(" · ");
}

export function when(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const soon = at.getTime() - Date.now() < 20 * 3600_000;
  return at.toLocaleString(undefined, soon ? { timeStyle: "short" } : { dateStyle: "medium" });
}

function limitName(limit: Limit): string {
  const unit = limit.unit === "tokens" ? "tokens" : "money";
  if (limit.scope === "*") return `${unit} of your plan`;
  if (limit.scope.startsWith("key:")) return `${unit} of this key`;
  if (limit.scope.startsWith("team:")) return `${unit} of your team`;
  return `${unit} for ${limit.scope.replace(/^class:/, "")}`;
}

/** A refusal in words: what it was, which limit, when it frees. */
export function refusalText(body: ErrorBody, retryAfter: number | null): string {
  let text = body.message;
  const limit = body.details?.limit;
  if (limit && typeof limit.limit === "number") {
    const amount = (value: number) => (limit.unit === "tokens" ? count(value) : `$${(value / 1e9).toFixed(2)}`);
    text += ` ${amount(limit.used)} of ${amount(limit.limit)} ${limitName(limit)} used`;
    if (limit.held > 0) text += `, ${amount(limit.held)} set aside for answers that are running`;
    text += ".";
    if (limit.reset_at) text += ` It starts anew ${when(limit.reset_at)}.`;
  } else if (retryAfter !== null && retryAfter > 0) {
    text += retryAfter < 120 ? ` Try again in ${Math.ceil(retryAfter)} s.` : ` Try again in ${Math.ceil(retryAfter / 60)} min.`;
  }
  return text;
}
