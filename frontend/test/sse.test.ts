import assert from "node:assert/strict";
import { test } from "node:test";

import { SseParser, type SseEvent } from "../src/chat/sse.ts";

const STREAM = "\uFEFF: hello\nid: 3\nevent: message.delta\ndata: {\"a\":1}\n\ndata: one\ndata:two\n\nevent: nothing\n\nid\ndata:  x\n\n";
const EVENTS: SseEvent[] = [
  { event: "message.delta", data: '{"a":1}', id: "3" },
  { event: "message", data: "one\ntwo", id: "3" },
  { event: "message", data: " x", id: "" },
];

function parse(pieces: string[]): SseEvent[] {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece));
}

test("events, comments, ids and joined data lines are read", () => {
  assert.deepEqual(parse([STREAM]), EVENTS);
});

for (const [name, end] of [["LF", "\n"], ["CR", "\r"], ["CRLF", "\r\n"]] as const) {
  test(`every cut into two pieces gives the same events, lines ending in ${name}`, () => {
    const stream = STREAM.replaceAll("\n", end);
    for (let at = 0; at <= stream.length; at++) {
      assert.deepEqual(parse([stream.slice(0, at), stream.slice(at)]), EVENTS, `cut at ${at}`);
    }
    assert.deepEqual(parse([...stream]), EVENTS);
  });
}

test("an event that is not finished is not given", () => {
  assert.deepEqual(parse(["data: half\n"]), []);
});

test("other separators of Unicode do not end a line", () => {
  assert.deepEqual(parse(["data: a\u2028b\u2029c\u0085d\n\n"]), [{ event: "message", data: "a\u2028b\u2029c\u0085d", id: "" }]);
});
