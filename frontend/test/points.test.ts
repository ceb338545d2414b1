import assert from "node:assert/strict";
import { test } from "node:test";

import { Assembly, countPoints, dropPoints, Gap } from "../src/chat/points.ts";

const TEXT = "a👩‍💻é\u0301नमस्ते🇮🇳z";

test("code points are counted, not halves of them", () => {
  assert.equal(countPoints(TEXT), Array.from(TEXT).length);
  assert.equal(countPoints("\ud83d"), 1);
  assert.equal(countPoints(""), 0);
});

test("dropping never cuts a pair", () => {
  const points = Array.from(TEXT);
  for (let drop = 0; drop <= points.length + 1; drop++) {
    assert.equal(dropPoints(TEXT, drop), points.slice(drop).join(""));
  }
});

test("pieces that overlap, repeat or arrive again from the start give the text once", () => {
  const points = Array.from(TEXT);
  for (let cut = 0; cut <= points.length; cut++) {
    for (let back = 0; back <= cut; back++) {
      const assembly = new Assembly();
      let shown = assembly.take(0, points.slice(0, cut).join(""));
      shown += assembly.take(back, points.slice(back).join(""));
      shown += assembly.take(0, TEXT);
      assert.equal(shown, TEXT);
      assert.equal(assembly.length, points.length);
    }
  }
});

test("a gap is an error, never silently closed", () => {
  const assembly = new Assembly();
  assembly.take(0, "abc");
  assert.throws(() => assembly.take(4, "e"), Gap);
  assert.equal(assembly.take(3, "d"), "d");
});
