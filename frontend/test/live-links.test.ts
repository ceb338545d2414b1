import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { safeLink } from "../src/chat/links.ts";

test("web and mail addresses are links", () => {
  for (const address of ["https://example.com/a?b#c", "HTTP://example.com", "mailto:a@example.com"]) {
    assert.ok(safeLink(address), address);
  }
});

test("no payload of the server's corpus becomes a link that is not web or mail", () => {
  const corpus = readFileSync(new URL("../../tests/chat/xss_payloads.txt", import.meta.url), "utf8").split("\n");
  for (const payload of [...corpus, "/c/1", "#x", "", " javascript:1", "java\tscript:1", "\u0000https://a.example"]) {
    const url = safeLink(payload);
    if (url) assert.match(url.protocol, /^(https?|mailto):$/, payload);
  }
  for (const bad of ["javascript:alert(1)", "data:text/html,x", "//evil.example", "/c/1", "java\nscript:x", "blob:https://a"]) {
    assert.equal(safeLink(bad), null, bad);
  }
});
