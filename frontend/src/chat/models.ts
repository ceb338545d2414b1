/** The model picker: a searchable list, the last choice remembered in this browser. */
import { call } from "./api.ts";
import { byId, el } from "./dom.ts";
import { short } from "./format.ts";

interface Model {
  id: string;
  name: string;
  context_length?: number | null;
  pricing?: { prompt?: string | null; completion?: string | null };
  allowed?: boolean;
}

const KEY = "model";
const LOCAL = "local/";

export class ModelPicker {
  #models: Model[] = [];
  #shown: Model[] = [];
  #active = 0;
  #current: string;
  readonly #pop = byId("models");
  readonly #button = byId<HTMLButtonElement>("model-button");
  readonly #search = byId<HTMLInputElement>("model-q");
  readonly #list = byId<HTMLUListElement>("model-list");
  readonly #status = byId("model-status");
  readonly #chosen: () => void;

  /** `fixed` is the conversation's model, which comes before the remembered one. */
  constructor(fixed: string, fallback: string, chosen: () => void) {
    this.#current = fixed || remembered() || fallback;
    this.#chosen = chosen;
    this.#name();
    this.#pop.addEventListener("beforetoggle", (event) => (event as ToggleEvent).newState === "open" && this.#place());
    this.#pop.addEventListener("toggle", (event) => {
      if ((event as ToggleEvent).newState !== "open") return;
      this.#search.value = "";
      this.#draw();
      // On a phone the keyboard would cover the list that was asked for.
      if (matchMedia("(hover: hover)").matches) this.#search.focus();
    });
    this.#search.addEventListener("input", () => this.#draw());
    this.#search.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => {
      const option = (event.target as HTMLElement).closest<HTMLElement>("[role=option]");
      if (option?.dataset["id"]) this.#choose(option.dataset["id"]);
    });
  }

  get current(): string {
    return this.#current;
  }

  toggle(): void {
    this.#pop.togglePopover();
  }

  /** Reads the whole catalogue, page by page. */
  async load(): Promise<void> {
    try {
      let next: string | null = "/api/chat/models?limit=100";
      const models: Model[] = [];
      while (next) {
        const page: { results: Model[]; next?: string | null } = await call("GET", next);
        models.push(...page.results);
        next = page.next ? sameOrigin(page.next) : null;
      }
      this.#models = models.sort((a, b) => Number(b.id.startsWith(LOCAL)) - Number(a.id.startsWith(LOCAL)));
    } catch {
      this.#status.textContent = "The list of models can't be read at the moment.";
      return;
    }
    if (!this.#find(this.#current)) {
      this.#current = this.#models.find((model) => model.allowed !== false)?.id ?? "";
    }
    this.#name();
    this.#draw();
    this.#chosen();
  }

  /** A model's name for people; its id when the list is not there yet. */
  nameOf(id: string): string {
    return this.#find(id)?.name ?? id;
  }

  #find(id: string): Model | undefined {
    return this.#models.find((model) => model.id === id);
  }

  #name(): void {
    byId("model-name").textContent = this.#current ? this.nameOf(this.#current) : "Choose a model";
    this.#button.setAttribute("aria-label", `Model: ${this.#current ? this.nameOf(this.#current) : "none"}. Change`);
  }

  #place(): void {
    const box = byId("composer").getBoundingClientRect();
    this.#pop.style.setProperty("--left", `${Math.max(8, Math.min(box.left, innerWidth - 440))}px`);
    this.#pop.style.setProperty("--bottom", `${innerHeight - box.top + 8}px`);
  }

  #draw(): void {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.#shown = this.#models.filter((model) => {
      const text = `${model.id} ${model.name}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const now = this.#shown.findIndex((model) => model.id === this.#current);
    this.#active = words.length > 0 || now < 0 ? 0 : now;
    this.#list.replaceChildren(...this.#shown.map((model, at) => this.#option(model, at)));
    this.#status.textContent =
      this.#models.length === 0 ? "" : `${this.#shown.length} of ${this.#models.length}. Prices are dollars per million tokens.`;
    this.#mark();
  }

  #option(model: Model, at: number): HTMLElement {
    const facts: (Node | string)[] = [];
    if (model.id.startsWith(LOCAL)) {
      facts.push(el("span", { class: "chip chip--success chip--soft" }, el("span", { class: "chip__label" }, "runs on this machine")));
    } else if (model.pricing?.prompt != null && model.pricing.completion != null) {
      facts.push(el("span", {}, `$${model.pricing.prompt} in`), el("span", {}, `$${model.pricing.completion} out`));
    }
    if (model.context_length) facts.push(el("span", {}, `${short(model.context_length)} context`));
    if (model.allowed === false) facts.push(el("span", {}, "not in your plan"));
    return el(
      "li",
      {
        class: "option",
        role: "option",
        id: `model-option-${at}`,
        "data-id": model.id,
        "aria-selected": String(model.id === this.#current),
        "aria-disabled": model.allowed === false ? "true" : undefined,
      },
      el("span", { class: "option__name" }, model.name),
      el("span", { class: "option__id" }, model.id),
      el("span", { class: "option__facts num" }, ...facts),
    );
  }

  #mark(): void {
    this.#list.querySelector("[data-active]")?.removeAttribute("data-active");
    const option = this.#list.children[this.#active];
    if (!option) {
      this.#search.removeAttribute("aria-activedescendant");
      return;
    }
    option.setAttribute("data-active", "");
    this.#search.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  #key(event: KeyboardEvent): void {
    const last = this.#shown.length - 1;
    if (event.key === "ArrowDown") this.#active = Math.min(last, this.#active + 1);
    else if (event.key === "ArrowUp") this.#active = Math.max(0, this.#active - 1);
    else if (event.key === "Enter") {
      const model = this.#shown[this.#active];
      if (model) this.#choose(model.id);
    } else return;
    event.preventDefault();
    this.#mark();
  }

  #choose(id: string): void {
    if (this.#find(id)?.allowed === false) return;
    this.#current = id;
    try {
      localStorage.setItem(KEY, id);
    } catch {
      // Not remembered; chosen all the same.
    }
    this.#name();
    this.#pop.hidePopover();
    byId("prompt").focus();
    this.#chosen();
  }
}

function remembered(): string {
  try {
    return localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/** The path of a list's `next`, so that a proxy's idea of our host does not matter. */
export function sameOrigin(address: string): string {
  const url = new URL(address, location.href);
  return url.pathname + url.search;
}
