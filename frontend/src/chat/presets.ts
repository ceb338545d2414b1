/** Presets in the message box: "/" in an empty box lists them, one that is chosen stays until it is left. */
import { call } from "./api.ts";
import type { Composer } from "./composer.ts";
import { announce, byId, el } from "./dom.ts";
import { sameOrigin } from "./models.ts";

export interface Preset {
  id: string;
  name: string;
  prompt?: string | null;
  system?: string | null;
  model?: string | null;
  parameters?: { temperature?: number | null; max_tokens?: number | null; reasoning_effort?: string | null };
}

const LONGEST_COMMAND = 61;

/** Whether it says anything beside words for the box. */
function shapes(preset: Preset): boolean {
  return !!(preset.system || preset.model) || Object.values(preset.parameters ?? {}).some((value) => value != null);
}

export class Presets {
  current: Preset | null = null;
  readonly #text = byId<HTMLTextAreaElement>("prompt");
  readonly #list = byId("commands");
  readonly #composer: Composer;
  readonly #used: (preset: Preset | null) => void;
  #known: Promise<Preset[]> | null = null;
  #shown: Preset[] = [];
  #active = 0;

  /** `used` hears of one that was chosen, or left. */
  constructor(composer: Composer, used: (preset: Preset | null) => void) {
    this.#composer = composer;
    this.#used = used;
    this.#text.addEventListener("input", () => void this.#look());
    // Before the box itself: Enter chooses here, and does not send.
    byId("composer").addEventListener("keydown", (event) => this.#key(event), true);
    this.#text.addEventListener("blur", () => this.#close());
    this.#list.addEventListener("mousedown", (event) => event.preventDefault());
    this.#list.addEventListener("click", (event) => {
      const at = (event.target as HTMLElement).closest<HTMLElement>("[role=option]")?.dataset["at"];
      if (at !== undefined) this.#choose(Number(at));
    });
    byId("preset-off").addEventListener("click", () => {
      this.leave();
      used(null);
      this.#composer.focus();
    });
  }

  leave(): void {
    this.current = null;
    byId("preset").hidden = true;
  }

  async #load(): Promise<Preset[]> {
    const found: Preset[] = [];
    let next: string | null = "/api/presets?limit=100";
    while (next) {
      const page: { results: Preset[]; next?: string | null } = await call("GET", next);
      found.push(...page.results);
      next = page.next ? sameOrigin(page.next) : null;
    }
    return found;
  }

  async #look(): Promise<void> {
    const text = this.#text.value;
    if (!text.startsWith("/") || text.length > LONGEST_COMMAND || text.includes("\n")) return this.#close();
    const found = await (this.#known ??= this.#load()).catch(() => {
      this.#known = null;
      return [] as Preset[];
    });
    if (this.#text.value !== text) return;
    const words = text.slice(1).toLowerCase();
    this.#shown = found.filter((preset) => preset.name.toLowerCase().includes(words));
    // A path or a pattern that begins with a stroke is no command.
    if (this.#shown.length === 0 && found.length > 0) return this.#close();
    this.#active = 0;
    this.#draw(found.length === 0);
  }

  #draw(none: boolean): void {
    const options = this.#shown.map((preset, at) =>
      el(
        "div",
        { class: "option", role: "option", id: `preset-option-${at}`, "data-at": String(at), "aria-selected": "false" },
        el("span", { class: "option__name" }, preset.name),
        el("span", { class: "option__says" }, preset.prompt || preset.system || preset.model || ""),
      ),
    );
    this.#list.replaceChildren(...(none ? [el("p", { class: "commands__none" }, "You have no presets yet. Make one in the settings.")] : options));
    this.#list.setAttribute("role", none ? "status" : "listbox");
    const box = byId("composer").getBoundingClientRect();
    this.#list.style.setProperty("--left", `${box.left}px`);
    this.#list.style.setProperty("--bottom", `${innerHeight - box.top + 8}px`);
    this.#list.style.setProperty("--width", `${box.width}px`);
    if (!this.#open) this.#list.showPopover();
    this.#mark();
  }

  #mark(): void {
    Array.from(this.#list.children).forEach((node, at) => {
      if (node.getAttribute("role") !== "option") return;
      node.setAttribute("aria-selected", String(at === this.#active));
      node.toggleAttribute("data-active", at === this.#active);
    });
    const option = this.#list.children[this.#active];
    if (option?.id) {
      this.#text.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }
  }

  get #open(): boolean {
    return this.#list.matches(":popover-open");
  }

  #close(): void {
    if (!this.#open) return;
    this.#list.hidePopover();
    this.#text.removeAttribute("aria-activedescendant");
  }

  #key(event: KeyboardEvent): void {
    if (!this.#open || event.isComposing || event.target !== this.#text) return;
    const last = this.#shown.length - 1;
    if (event.key === "Escape") this.#close();
    else if (last < 0) return;
    else if (event.key === "ArrowDown") this.#active = this.#active === last ? 0 : this.#active + 1;
    else if (event.key === "ArrowUp") this.#active = this.#active === 0 ? last : this.#active - 1;
    else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") this.#choose(this.#active);
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (this.#open) this.#mark();
  }

  #choose(at: number): void {
    const preset = this.#shown[at];
    this.#close();
    if (!preset) return;
    this.#composer.put(preset.prompt ?? "");
    if (shapes(preset)) {
      this.current = preset;
      byId("preset-name").textContent = preset.name;
      byId("preset-off").setAttribute("aria-label", `Leave the preset ${preset.name}`);
      byId("preset").hidden = false;
    }
    announce(`Preset ${preset.name}.`);
    this.#used(preset);
  }
}
