import assert from "node:assert/strict";
import { test } from "node:test";

import { review } from "../src/chat/share-review.ts";

test("what one would rather not publish is counted, each once", () => {
  const text = `Write to a@example.com, b.c+d@mail.example.org or a@example.com. Call +91 98765 43210 or 9876543210.
    Card 4111 1111 1111 1111, key sk-or-v1-0123456789abcdef0123 and -----BEGIN RSA PRIVATE KEY-----`;
  assert.deepEqual(review(text), ["2 keys or tokens", "1 card number", "2 e-mail addresses", "2 telephone numbers"]);
});

test("ordinary figures and words are left alone", () => {
  const text = "In 2026-11-28 at 10:30, version 1.2.3, 1234567890123456, 3.14159265358979, task-force, a @mention, 0000000000000000";
  assert.deepEqual(review(text), []);
});
