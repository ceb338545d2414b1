/** Models in the picker: what of them is shown, sought and sorted by. */
import type { Limit } from "./api.ts";
import { el, icon } from "./dom.ts";
import { count, short } from "./format.ts";

export interface Model {
  id: string;
  name: string;
  context_length?: number | null;
  max_output?: number | null;
  input_modalities?: string[];
  supports?: string[];
  pricing?: { prompt?: string | null; completion?: string | null };
  allowed?: boolean;
  quota?: Limit | null;
  local?: boolean;
}

const ABILITIES = [
  { key: "image", words: "reads pictures", symbol: "eye" },
  { key: "tools", words: "uses tools", symbol: "wrench" },
  { key: "reasoning", words: "reasons", symbol: "brain" },
] as const;

const price = (model: Model): number => Number(model.pricing?.prompt ?? 0) + Number(model.pricing?.completion ?? 0);

const ORDERS: Record<string, (one: Model, other: Model) => number> = {
  name: (one, other) => one.name.localeCompare(other.name),
  price: (one, other) => price(one) - price(other),
  context: (one, other) => (other.context_length ?? 0) - (one.context_length ?? 0),
};

function can(model: Model, ability: string): boolean {
  if (ability === "allowed") return model.allowed !== false;
  return (model.input_modalities ?? []).includes(ability) || (model.supports ?? []).includes(ability);
}

/** The models that have every word and every ability that is wanted; this machine's first, then in order. */
export function chosen(models: Model[], words: string[], abilities: Iterable<string>, order: string): Model[] {
  const wanted = Array.from(abilities);
  const found = models.filter((model) => {
    const text = `${model.id} ${model.name}`.toLowerCase();
    return words.every((word) => text.includes(word)) && wanted.every((ability) => can(model, ability));
  });
  const by = ORDERS[order] ?? ORDERS["name"]!;
  return found.sort((one, other) => Number(other.local ?? false) - Number(one.local ?? false) || by(one, other));
}

function facts(model: Model): HTMLElement {
  const row = el("span", { class: "option__facts num" });
  if (model.local) row.append(el("span", { class: "chip chip--success chip--soft" }, el("span", { class: "chip__label" }, "runs on this machine")));
  else if (model.pricing?.prompt != null && model.pricing.completion != null) {
    const free = price(model) === 0;
    row.append(...(free ? [el("span", {}, "free")] : [el("span", {}, `$${model.pricing.prompt} in`), el("span", {}, `$${model.pricing.completion} out`)]));
  }
  if (model.context_length) row.append(el("span", {}, `${short(model.context_length)} context`));
  for (const { key, words, symbol } of ABILITIES) {
    if (can(model, key)) row.append(el("span", { class: "option__can", title: words }, icon(symbol), el("span", { class: "sr-only" }, words)));
  }
  if (model.quota?.limit != null) row.append(el("span", {}, `${count(Math.max(0, model.quota.remaining ?? 0))} ${model.quota.unit === "tokens" ? "tokens" : "units"} of its own left`));
  if (model.allowed === false) row.append(el("span", { class: "option__not" }, "not in your plan"));
  return row;
}

export function option(model: Model, at: number, selected: boolean): HTMLElement {
  return el(
    "li",
    {
      class: "option",
      role: "option",
      id: `model-option-${at}`,
      "data-id": model.id,
      "aria-selected": String(selected),
      "aria-disabled": model.allowed === false ? "true" : undefined,
    },
    el("span", { class: "option__name" }, model.name),
    el("span", { class: "option__id" }, model.id),
    facts(model),
  );
}
