/**
 * One owner of the scroll position. Every write here records what it expects to see, so any other
 * scroll event is the reader's: no timers, no guessing. Rules:
 * - sending puts the question near the top, with room below for the answer to grow into;
 * - the end is followed only while the reader is at the end; 3 px upwards lets go;
 * - "to the end" shows 200 px away and hides within 60 px.
 */
import { wantsNoMotion } from "./dom.ts";

const LET_GO_PX = 3;
const AT_END_PX = 2;
const SHOW_JUMP_PX = 200;
const HIDE_JUMP_PX = 60;
const TELEPORT_PX = 2500;
const GLIDE_MS = 80;
const TOP_GAP_PX = 12;

export class Scroller {
  readonly #box: HTMLElement;
  readonly #jump: HTMLElement;
  #pinned = true;
  #expected = -1;
  #last = 0;
  #frame = 0;
  #time = 0;
  #room: HTMLElement | null = null;

  constructor(box: HTMLElement, content: HTMLElement, jump: HTMLElement) {
    this.#box = box;
    this.#jump = jump;
    this.#last = box.scrollTop;
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // The reader's hand counts before its scroll event arrives.
    box.addEventListener("wheel", (event) => event.deltaY < 0 && this.#letGo(), { passive: true });
    let touch = 0;
    box.addEventListener("touchstart", (event) => (touch = event.touches[0]?.clientY ?? 0), { passive: true });
    box.addEventListener(
      "touchmove",
      (event) => (event.touches[0]?.clientY ?? 0) > touch + LET_GO_PX && this.#letGo(),
      { passive: true },
    );
    jump.addEventListener("click", () => this.toEnd());
    new ResizeObserver(() => this.#resized()).observe(box);
    // Whatever makes the content taller (words, formulas, a table drawn late) is followed alike.
    new ResizeObserver(() => this.grew()).observe(content);
  }

  get #end(): number {
    return this.#box.scrollHeight - this.#box.clientHeight;
  }

  /** The content has changed: follows the end if the reader is there. */
  grew(): void {
    if (this.#pinned) this.#glide();
    this.#showJump();
  }

  /** Holds at the end from now on, at once. */
  toEnd(): void {
    this.#pinned = true;
    this.#write(this.#end);
    this.#showJump();
  }

  /** A turn was sent: its block gets the height of the view, so its question can stand at the top. */
  sent(turn: HTMLElement): void {
    if (this.#room) this.#room.style.minHeight = "";
    this.#room = turn;
    this.#resized();
    this.#pinned = true;
    this.#glide();
  }

  /** What was `top` pixels from the top of the window is now `element`: it stands there again. */
  holdAt(element: HTMLElement, top: number): void {
    this.#room = null;
    this.#letGo();
    this.#write(this.#box.scrollTop + element.getBoundingClientRect().top - top);
    this.#showJump();
  }

  #resized(): void {
    if (this.#room) {
      const below = parseFloat(getComputedStyle(this.#box).paddingBottom) || 0;
      this.#room.style.minHeight = `${Math.max(0, this.#box.clientHeight - below - TOP_GAP_PX)}px`;
    }
    if (this.#pinned) this.#write(this.#end);
    this.#showJump();
  }

  #letGo(): void {
    if (this.#end <= 0) return;
    this.#pinned = false;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#showJump();
  }

  #scrolled(): void {
    const top = this.#box.scrollTop;
    if (Math.abs(top - this.#expected) > 1) {
      if (top < this.#last - LET_GO_PX) this.#letGo();
      else if (this.#end - top <= AT_END_PX) this.#pinned = true;
    }
    this.#last = top;
    this.#showJump();
  }

  #write(top: number): void {
    this.#expected = Math.round(top);
    this.#box.scrollTop = top;
    this.#expected = this.#box.scrollTop;
    this.#last = this.#box.scrollTop;
  }

  #glide(): void {
    if (this.#frame) return;
    if (wantsNoMotion()) {
      this.#write(this.#end);
      return;
    }
    this.#time = performance.now();
    const step = (at: number) => {
      this.#frame = 0;
      if (!this.#pinned) return;
      const passed = Math.max(0, at - this.#time);
      this.#time = at;
      let from = this.#box.scrollTop;
      const gap = this.#end - from;
      if (gap > TELEPORT_PX) from = this.#end - TELEPORT_PX / 2;
      const next = from + (this.#end - from) * (1 - Math.exp(-passed / GLIDE_MS));
      if (this.#end - next <= AT_END_PX) {
        this.#write(this.#end);
        return;
      }
      this.#write(Math.ceil(next));
      this.#frame = requestAnimationFrame(step);
    };
    this.#frame = requestAnimationFrame(step);
  }

  #showJump(): void {
    const away = this.#end - this.#box.scrollTop;
    if (this.#jump.hidden && away > SHOW_JUMP_PX && !this.#pinned) this.#jump.hidden = false;
    else if (!this.#jump.hidden && (away < HIDE_JUMP_PX || this.#pinned)) this.#jump.hidden = true;
  }
}
