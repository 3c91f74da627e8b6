// The page with a real model: the bundled one.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { browse, built, repository } from "./harness.mjs";
import { ask, idle, lastAnswer } from "./page.mjs";

const program = process.env.GGRUN ?? built("ggrun");

/** Converts the bundled model and serves it. */
async function serveModel(t) {
  const folder = await mkdtemp(join(tmpdir(), "ggrun-model-"));
  const model = join(folder, "tiny.gguf");
  const options = { cwd: repository, env: { ...process.env, XDG_STATE_HOME: folder }, stdio: ["ignore", "ignore", "pipe"] };
  execFileSync(program, ["convert", "tests/data/tiny-thinker", "-o", model], options);
  const server = spawn(program, ["serve", model, "--port", "0", "--drain", "0", "--temp", "0", "-c", "4096"], options);
  t.after(async () => {
    const ended = once(server, "exit");
    server.kill();
    await ended;
    await rm(folder, { recursive: true });
  });
  const notes = [];
  for await (const line of createInterface(server.stderr)) {
    notes.push(line);
    const url = line.match(/^listening on (\S+)/)?.[1];
    if (url) {
      server.stderr.resume();
      return { url };
    }
  }
  return assert.fail(notes.join("\n"));
}

test("the bundled model reasons, answers and remembers the conversation after a reload", async (t) => {
  const server = await serveModel(t);
  const page = await browse(t, server);
  await ask(page, "What is 17 + 25?");
  await lastAnswer(page).locator(".prose", { hasText: "42" }).waitFor();
  await idle(page);
  await lastAnswer(page).getByRole("button", { name: /^Reasoning/ }).waitFor();
  await page.reload();
  await lastAnswer(page).locator(".prose", { hasText: "42" }).waitFor();
  assert.equal(await page.locator(".sidebar .entry").count(), 1);
});
