// What the page says about the server: loading, keys, failures, status.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answered, ask, asked, button, idle, input, lastAnswer } from "./page.mjs";
import { checkAccess, visit } from "./harness.mjs";

test("a download and loading are shown with the progress and the time left, and a message can be written meanwhile", async (t) => {
  const { page } = await visit(t, { args: ["--load", "10000"] });
  await page.getByText("Downloading the model").waitFor();
  await page.getByRole("progressbar", { name: "Downloading the model" }).waitFor();
  await page.getByText(/\d+% · about .* left/).waitFor();
  await page.getByText("Loading the model").waitFor();
  await page.getByRole("progressbar", { name: "Loading the model" }).waitFor();
  await page.getByText(/\d+% · about .* left/).waitFor();
  await input(page).fill("Hi");
  assert.ok(await button(page, "Send").isDisabled());
  await checkAccess(page);
  await page.locator("button[aria-label=Send]:enabled").waitFor();
  await button(page, "Send").click();
  await lastAnswer(page).getByText("You wrote: Hi").waitFor();
});

test("a key is asked for, refused if it is wrong, and kept in the tab", async (t) => {
  const { page } = await visit(t, { args: ["--api-key", "secret"] });
  const dialog = page.getByRole("dialog", { name: "This server needs a key" });
  await dialog.getByLabel("Key", { exact: true }).fill("wrong");
  await checkAccess(page);
  await button(dialog, "Continue").click();
  await dialog.getByText("The server refused this key.").waitFor();
  await dialog.getByLabel("Key", { exact: true }).fill("secret");
  await button(dialog, "Continue").click();
  await dialog.waitFor({ state: "detached" });
  await ask(page, "Hi");
  await lastAnswer(page).getByText("You wrote: Hi").waitFor();
  await idle(page);
  await page.reload();
  await ask(page, "Still here");
  await lastAnswer(page).getByText("You wrote: Still here").waitFor();
});

test("without a key the page says so, and asks again when the user chooses to enter one", async (t) => {
  const { page } = await visit(t, { args: ["--api-key", "secret"] });
  const dialog = page.getByRole("dialog", { name: "This server needs a key" });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await button(page, "Enter key").waitFor();
  await checkAccess(page);
  await button(page, "Enter key").click();
  await dialog.getByLabel("Key", { exact: true }).fill("secret");
  await button(dialog, "Continue").click();
  await ask(page, "Hi");
  await lastAnswer(page).getByText("You wrote: Hi").waitFor();
  await idle(page);
});

test("a remembered key replaces the one of the tab", async (t) => {
  const { page } = await visit(t, { args: ["--api-key", "secret"] });
  await page.evaluate(() => sessionStorage.setItem("ggrun.key", "old"));
  await page.reload();
  const dialog = page.getByRole("dialog", { name: "This server needs a key" });
  await dialog.getByText("The server refused this key.").waitFor();
  await dialog.getByLabel("Key", { exact: true }).fill("secret");
  await dialog.getByLabel("Remember it in this browser").check();
  await button(dialog, "Continue").click();
  await dialog.waitFor({ state: "detached" });
  await page.reload();
  await answered(page, "Hi");
});

test("a server that is gone is named, and the page reconnects automatically", async (t) => {
  const { page } = await visit(t);
  await page.locator("button[aria-label=Send]").waitFor();
  await page.waitForFunction(async () => (await import("/app/server.js")).isReady.value);
  await page.context().setOffline(true);
  await input(page).fill("Hi");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("The server cannot be reached.").waitFor();
  await page.getByRole("status").getByText("The server cannot be reached").waitFor();
  await checkAccess(page);
  await page.context().setOffline(false);
  await page.locator(".banner").waitFor({ state: "detached" });
  await button(page, "Retry").click();
  await lastAnswer(page).getByText("You wrote: Hi").waitFor();
  assert.equal(await asked(page).count(), 1);
});

test("a server that has failed is named", async (t) => {
  const { page } = await visit(t, { answers: { Break: { write: "</think>\n\nHalf of it", fail: "device", after: 4 } } });
  await ask(page, "Break");
  await page.getByRole("alert").waitFor();
  await page.getByRole("alert").getByText("See the server log.").waitFor();
});

test("the status draws the server's metrics and slots", async (t) => {
  const { page } = await visit(t);
  await answered(page, "Hi");
  await button(page, "Status").click();
  await page.getByRole("heading", { name: "Server status" }).waitFor();
  await page.getByRole("img", { name: /^Tokens written: .* tokens\/s$/ }).waitFor();
  await page.getByRole("img", { name: "Requests running: 0 of 2 slots" }).waitFor();
  await page.getByRole("row", { name: /^Time to first token (< )?[\d.]+ m?s (< )?[\d.]+ m?s$/ }).waitFor();
  await page.getByRole("region", { name: "Slots" }).getByRole("row").nth(2).waitFor();
  assert.match(await page.locator(".facts").last().innerText(), /Answers\s+1/);
  await checkAccess(page);
  await button(page, "Back to the conversation").click();
  await lastAnswer(page).getByText("You wrote: Hi").waitFor();
});

test("the status says how to get metrics where they are missing", async (t) => {
  const { page } = await visit(t, { path: "/#/status", args: ["--no-metrics"] });
  await page.getByText("The server does not publish metrics.").waitFor();
  await page.getByText("--metrics").waitFor();
  await page.getByRole("region", { name: "Slots" }).waitFor();
  await checkAccess(page);
});

test("the status says why it has no metrics", async (t) => {
  const { page } = await visit(t);
  await page.route("**/metrics", (route) => route.fulfill({ status: 500, json: { error: { message: "out of order" } } }));
  await button(page, "Status").click();
  await page.getByText("Cannot read the metrics").waitFor();
  await page.getByText("out of order").waitFor();
});

test("quantiles and rates are those of the samples", async (t) => {
  const { page } = await visit(t);
  const found = await page.evaluate(async () => {
    const { parse, quantile, rates } = await import("/app/metrics.js");
    const text = (a, b, c, n) => `# HELP x\nh_bucket{le="1"} ${a}\nh_bucket{le="2"} ${b}\nh_bucket{le="+Inf"} ${c}\nn ${n}\n`;
    const [from, to] = [parse(text(1, 1, 1, 5)), parse(text(1, 5, 11, 25))];
    const samples = [{ time: 0, values: from }, { time: 2, values: to }, { time: 4, values: from }];
    return [
      quantile(to, "h", 0.2).value.toFixed(1),
      quantile(to, "h", 0.05).isFirst,
      quantile(to, "h", 0.9).value,
      quantile(parse(text(0, 0, 0, 0)), "h", 0.5),
      rates(samples, "n").map(({ value }) => value),
    ];
  });
  assert.deepEqual(found, ["1.3", true, 2, null, [10, 0]]);
});
