// The texts of the page.

import assert from "node:assert/strict";
import { readFile, readdir } from "node:fs/promises";
import { test } from "node:test";
import en from "../texts/en.js";

const app = new URL("../app/", import.meta.url);

test("durations are rounded before their unit is chosen", () => {
  const found = [0.0123, 0.9994, 0.9999, 9.94, 9.96, 119.7, 5400, 7199.6].map(en.duration);
  assert.deepEqual(found, ["12 ms", "999 ms", "1.0 s", "9.9 s", "10 s", "2 min", "1 h 30 min", "2 h 0 min"]);
});

test("every text is used, and every text that is used is there", async () => {
  const names = (await readdir(app, { recursive: true })).filter((name) => name.endsWith(".js"));
  const code = (await Promise.all(names.map((name) => readFile(new URL(name, app), "utf8")))).join("\n");
  const used = new Set([...code.matchAll(/\bt\.(\w+)/g)].map(([, name]) => name));
  // Phases of the server are looked up by their name.
  for (const [, name] of code.matchAll(/phase: "(\w+)"/g)) used.add(name);
  used.delete("ready");
  assert.deepEqual([...used].filter((name) => !(name in en)), []);
  assert.deepEqual(Object.keys(en).filter((name) => !used.has(name)), []);
});
