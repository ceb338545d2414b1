/** The model picker: a searchable list, one model or several side by side; the last one is remembered here. */
import { call } from "./api.ts";
import { announce, byId } from "./dom.ts";
import { chosen, option, type Model } from "./model-list.ts";

const KEY = "model";
const MOST_COMPARED = 4;

export class ModelPicker {
  #models: Model[] = [];
  #shown: Model[] = [];
  #active = 0;
  #current: string;
  /** The models to compare, in the order they were chosen; empty when one is asked. */
  #compared: string[] = [];
  /** What the next choice is for, when it is not for the next message. */
  #once: ((id: string) => void) | null = null;
  readonly #pop = byId("models");
  readonly #button = byId<HTMLButtonElement>("model-button");
  readonly #search = byId<HTMLInputElement>("model-q");
  readonly #list = byId<HTMLUListElement>("model-list");
  readonly #status = byId("model-status");
  readonly #compare = byId<HTMLButtonElement>("model-compare");
  readonly #order = byId<HTMLSelectElement>("model-order");
  readonly #abilities = Array.from(document.querySelectorAll<HTMLButtonElement>("[data-ability]"));
  readonly #chosen: () => void;

  /** `fixed` is the conversation's model, which comes before the remembered one. */
  constructor(fixed: string, fallback: string, chosen: () => void) {
    this.#current = fixed || remembered() || fallback;
    this.#chosen = chosen;
    this.#name();
    this.#pop.addEventListener("beforetoggle", (event) => (event as ToggleEvent).newState === "open" && this.#place());
    this.#compare.addEventListener("click", () => this.#setCompared(this.#compared.length > 0 ? [] : [this.#current]));
    this.#pop.addEventListener("toggle", (event) => {
      if ((event as ToggleEvent).newState !== "open") {
        this.#once = null;
        this.#pop.setAttribute("aria-label", "Choose a model");
        this.#compare.hidden = false;
        if (this.#compared.length < 2) this.#setCompared([]);
        return;
      }
      this.#search.value = "";
      this.#draw();
      // On a phone the keyboard would cover the list that was asked for.
      if (matchMedia("(hover: hover)").matches) this.#search.focus();
    });
    this.#search.addEventListener("input", () => this.#draw());
    this.#order.addEventListener("change", () => this.#draw());
    for (const button of this.#abilities) {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
        this.#draw();
      });
    }
    this.#search.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("click", (event) => {
      const option = (event.target as HTMLElement).closest<HTMLElement>("[role=option]");
      if (option?.dataset["id"]) this.#choose(option.dataset["id"]);
    });
  }

  /** The model of the next message; the first one when several are compared. */
  get current(): string {
    return this.#compared[0] ?? this.#current;
  }

  /** The models of the next message. */
  get choice(): string[] {
    return this.#compared.length > 1 ? this.#compared : [this.current];
  }

  /** From now on one model. */
  settle(id: string): void {
    this.#compared = [];
    if (this.#find(id)?.allowed !== false && id) this.#remember(id);
    this.#name();
  }

  /** Opens the list for one choice that leaves the next message's model as it is. */
  pickOnce(title: string, use: (id: string) => void): void {
    this.#pop.setAttribute("aria-label", title);
    this.#compare.hidden = true;
    this.#once = use;
    this.#pop.showPopover();
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
      this.#models = models;
    } catch {
      this.#status.textContent = "The list of models can't be read at the moment.";
      return;
    }
    if (!this.#find(this.#current)) {
      this.#current = chosen(this.#models, [], ["allowed"], "name")[0]?.id ?? "";
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
    const names = this.choice.map((id) => this.nameOf(id));
    const one = names.length === 1;
    byId("model-name").textContent = one ? names[0] || "Choose a model" : `${names.length} models side by side`;
    this.#button.setAttribute("aria-label", `${one ? "Model" : "Models"}: ${names.join(", ") || "none"}. Change`);
  }

  #setCompared(ids: string[]): void {
    this.#compared = ids.filter(Boolean);
    const on = this.#compared.length > 0;
    this.#compare.setAttribute("aria-pressed", String(on));
    this.#list.setAttribute("aria-multiselectable", String(on));
    this.#name();
    if (this.#pop.matches(":popover-open")) this.#draw();
  }

  #isChosen(id: string): boolean {
    if (this.#once) return false;
    return this.#compared.length > 0 ? this.#compared.includes(id) : id === this.#current;
  }

  #place(): void {
    const box = byId("composer").getBoundingClientRect();
    this.#pop.style.setProperty("--left", `${Math.max(8, Math.min(box.left, innerWidth - 440))}px`);
    this.#pop.style.setProperty("--bottom", `${innerHeight - box.top + 8}px`);
  }

  #draw(): void {
    const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const pressed = this.#abilities.filter((button) => button.getAttribute("aria-pressed") === "true");
    const abilities = pressed.map((button) => button.dataset["ability"] ?? "");
    this.#shown = chosen(this.#models, words, abilities, this.#order.value);
    const now = this.#shown.findIndex((model) => model.id === this.#current);
    this.#active = words.length > 0 || now < 0 ? 0 : now;
    this.#list.replaceChildren(...this.#shown.map((model, at) => option(model, at, this.#isChosen(model.id))));
    this.#say();
    this.#mark();
  }

  #say(): void {
    if (this.#compared.length > 0) {
      const names = this.#compared.map((id) => this.nameOf(id)).join(", ");
      this.#status.textContent = `${this.#compared.length} of ${MOST_COMPARED} to compare: ${names}. Each answer is charged.`;
    } else {
      this.#status.textContent =
        this.#models.length === 0 ? "" : `${this.#shown.length} of ${this.#models.length}. Prices are dollars per million tokens.`;
    }
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
    else if (event.key === "PageDown") this.#active = Math.min(last, this.#active + 6);
    else if (event.key === "PageUp") this.#active = Math.max(0, this.#active - 6);
    else if (event.key === "Enter") {
      const model = this.#shown[this.#active];
      if (model) this.#choose(model.id);
    } else return;
    event.preventDefault();
    this.#mark();
  }

  #choose(id: string): void {
    if (this.#find(id)?.allowed === false) return;
    const once = this.#once;
    if (!once && this.#compared.length > 0) {
      this.#toggleCompared(id);
      return;
    }
    if (!once) {
      this.#remember(id);
      this.#name();
    }
    this.#pop.hidePopover();
    byId("prompt").focus();
    if (once) once(id);
    else this.#chosen();
  }

  /** In or out of the comparison; the list stays open. */
  #toggleCompared(id: string): void {
    const without = this.#compared.filter((one) => one !== id);
    if (without.length === MOST_COMPARED) {
      announce(`At most ${MOST_COMPARED} models are compared.`);
      return;
    }
    this.#compared = without.length < this.#compared.length ? without : [...this.#compared, id];
    if (this.#compared.length === 0) this.#setCompared([]);
    for (const option of this.#list.children) {
      option.setAttribute("aria-selected", String(this.#isChosen((option as HTMLElement).dataset["id"] ?? "")));
    }
    this.#say();
    this.#name();
    this.#chosen();
  }

  #remember(id: string): void {
    this.#current = id;
    try {
      localStorage.setItem(KEY, id);
    } catch {
      // Not remembered; chosen all the same.
    }
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
