/** Lengths and cuts in Unicode code points, which is how the stream counts. */
export function countPoints(text: string): number {
  let count = text.length;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    // The second half of a pair belongs to the code point before it.
    if (code >= 0xdc00 && code <= 0xdfff && at > 0) {
      const before = text.charCodeAt(at - 1);
      if (before >= 0xd800 && before <= 0xdbff) count--;
    }
  }
  return count;
}

/** The text without its first `points` code points. */
export function dropPoints(text: string, points: number): string {
  let at = 0;
  while (points > 0 && at < text.length) {
    const code = text.codePointAt(at) ?? 0;
    at += code > 0xffff ? 2 : 1;
    points--;
  }
  return text.slice(at);
}

/** Collects the deltas of one message: what overlaps is dropped, a gap is an error. */
export class Assembly {
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What is new in a delta; throws Gap when text before it is missing. */
  take(offset: number, text: string): string {
    if (offset > this.#length) throw new Gap();
    const fresh = dropPoints(text, this.#length - offset);
    this.#length += countPoints(fresh);
    return fresh;
  }
}

export class Gap extends Error {}
