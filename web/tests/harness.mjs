// A scripted server and a browser for a test. A test fails if the page asks another host for anything, or reports an error.
//
// GGRUN_SCRIPTED  the server: `cargo build --example scripted`; by default that of the target folder
// GGRUN_PAGE      a folder whose files are served instead of those in the server, to try a change without building
// CHROMIUM        the browser, /usr/bin/chromium by default

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const repository = fileURLToPath(new URL("../..", import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(repository, "target");
/** A program that cargo has built. */
export const built = (name) => join(target, "debug", name);
const program = process.env.GGRUN_SCRIPTED ?? built("examples/scripted");

export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// Only a hang takes this long.
const LONG = 60_000;

/**
 * Starts a server.
 *
 * @param {object} options
 * @param {object} [options.answers] scripts by the text of the user; `examples/scripted/script.rs` describes them
 * @param {string[]} [options.args] more arguments: `--api-key KEY`, `--load MS`, `--sessions-dir DIR`, …
 */
export async function serve({ answers = {}, args = [] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "ggrun-page-"));
  const file = join(folder, "answers.json");
  await writeFile(file, JSON.stringify(answers));
  const page = process.env.GGRUN_PAGE ? ["--path", process.env.GGRUN_PAGE] : [];
  const server = spawn(program, ["--answers", file, ...page, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(server, "exit");
  const address = Promise.race([once(createInterface(server.stdout), "line"), ended.then(() => [])]);
  const [url] = await address;
  assert.equal(typeof url, "string", `${program} did not start`);
  const stop = async () => {
    server.stdin.end();
    await ended;
    await rm(folder, { recursive: true });
  };
  return { url, folder, stop };
}

let started;
after(async () => (await started)?.close());

/** The browser of this file of tests. */
function browser() {
  if (!started) {
    started = chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
    });
  }
  return started;
}

/**
 * Opens a page in a browser without history.
 *
 * @param {import("node:test").TestContext} test
 * @param {object} server from `serve`
 * @param {object} [options]
 * @param {string} [options.path] the path and the fragment
 * @param {RegExp[]} [options.expected] errors that the browser may report
 * @param {object} [options.context] options of playwright's context: viewport, colorScheme, …
 */
export async function browse(test, server, { path = "/", expected = [], context: options = {} } = {}) {
  const context = await (await browser()).newContext({ viewport: { width: 1440, height: 900 }, ...options });
  context.setDefaultTimeout(LONG);
  const wrong = [];
  // No name is resolved, so that none reaches another host.
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== server.url && !["blob:", "data:"].includes(url.protocol)) wrong.push(`a request to ${url}`);
  });
  if (process.env.GGRUN_PAGE) await context.route(/\/(#.*)?$/, withPolicy);
  context.on("weberror", (error) => wrong.push(error.error().stack || String(error.error())));
  context.on("console", (message) => {
    // A status is checked where it matters.
    const isStatus = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isStatus && !expected.some((pattern) => pattern.test(message.text()))) {
      wrong.push(message.text());
    }
  });
  test.after(async () => {
    // A request may be on its way when the test ends.
    await context.unrouteAll({ behavior: "ignoreErrors" });
    await context.close();
    assert.deepEqual(wrong, []);
  });
  const page = await context.newPage();
  await page.goto(server.url + path);
  return page;
}

/** Adds the policy where the files of a folder are served. */
async function withPolicy(route) {
  const response = await route.fetch();
  return route.fulfill({ response, headers: { ...response.headers(), "content-security-policy": POLICY } });
}

/**
 * Starts a server for one test and opens its page.
 *
 * @param {import("node:test").TestContext} test
 * @param {object} [options] those of `serve` and `browse`
 */
export async function visit(test, options = {}) {
  const server = await serve(options);
  test.after(server.stop);
  return { server, page: await browse(test, server, options) };
}

let axe;

/** Fails if axe finds something serious in what the page shows. */
export async function checkAccess(page) {
  axe ??= await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const found = serious.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}\n${html}\n${failureSummary}`),
  );
  assert.deepEqual(found, []);
}
