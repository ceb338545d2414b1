/** Numbers and times as people read them, in the reader's own zone. */
import type { Usage } from "./events.ts";

const NUMBER = new Intl.NumberFormat("en");

export const count = (value: number): string => NUMBER.format(value);

/** 128k, 1M. */
export function short(value: number): string {
  if (value >= 1_000_000) return `${(value / 1_000_000).toFixed(1).replace(/\.0$/, "")}M`;
  return value >= 1000 ? `${Math.floor(value / 1000)}k` : String(value);
}

/** An amount above zero with two digits that say something, never rounded down: "$0.0050", "$1.30". */
export function dollarsAtMost(amount: number): string {
  const places = Math.max(2, Math.ceil(-Math.log10(amount)) + 1);
  const factor = 10 ** places;
  return `$${(Math.ceil(Number((amount * factor).toPrecision(12))) / factor).toFixed(places)}`;
}

export function usageText(usage: Usage): string {
  const parts: string[] = [];
  if (typeof usage.total_tokens === "number") parts.push(`${count(usage.total_tokens)} tokens`);
  if (usage.cost_usd) parts.push(`$${usage.cost_usd}`);
  if (usage.estimated) parts.push("estimated");
  return parts.join(" · ");
}

/** A moment in the reader's own zone and language, to stand in a sentence: "at 14:05", "on 1 December 2026". */
export function when(iso: string): string {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return "";
  const soon = at.getTime() - Date.now() < 20 * 3600_000;
  return soon ? `at ${at.toLocaleTimeString(undefined, { timeStyle: "short" })}` : `on ${at.toLocaleDateString(undefined, { dateStyle: "long" })}`;
}
