// The settings of a conversation.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, button, closeDialog, idle, lastAnswer, nextRequest } from "./page.mjs";
import { checkAccess, visit } from "./harness.mjs";

// What a request has if nothing is set.
const ALWAYS = ["messages", "model", "return_progress", "stream", "stream_options", "timings_per_token"];

async function settings(page) {
  await button(page, "Settings").click();
  return page.getByRole("dialog");
}

/** A new page with its settings open. */
async function opened(t, options) {
  const { page } = await visit(t, options);
  return { page, dialog: await settings(page) };
}

async function set(dialog, label, value) {
  await dialog.getByLabel(label, { exact: true }).fill(value);
  await dialog.page().keyboard.press("Tab");
}

/** The body of the request for an answer to this message. */
async function sentFor(page, text) {
  const sent = nextRequest(page);
  await ask(page, text);
  const body = await sent;
  await idle(page);
  return body;
}

const others = (body) => Object.fromEntries(Object.entries(body).filter(([name]) => !ALWAYS.includes(name)));

test("the defaults of the model are shown, and none of them is sent", async (t) => {
  const { server, page } = await visit(t);
  const { default_generation_settings: { params } } = await (await fetch(`${server.url}/props`)).json();
  const dialog = await settings(page);
  const shown = await dialog.getByLabel("Temperature", { exact: true }).getAttribute("placeholder");
  assert.equal(Number(shown), Number(params.temperature.toPrecision(6)));
  await checkAccess(page);
  await closeDialog(page);
  assert.deepEqual(others(await sentFor(page, "Hi")), {});
});

test("only what is set is sent, for this conversation, and it stays", async (t) => {
  const { page, dialog } = await opened(t);
  await set(dialog, "Temperature", "0.2");
  await set(dialog, "Stop texts", "END\nSTOP");
  await set(dialog, "Reasoning budget", "50");
  await dialog.getByLabel("Reasoning", { exact: true }).selectOption("high");
  await dialog.getByText("Other samplers").click();
  await set(dialog, "Order of samplers", "top_k, temperature");
  await checkAccess(page);
  await closeDialog(page);
  const expected = {
    temperature: 0.2,
    stop: ["END", "STOP"],
    reasoning_budget: 50,
    reasoning_effort: "high",
    samplers: ["top_k", "temperature"],
  };
  assert.deepEqual(others(await sentFor(page, "Hi")), expected);
  await page.reload();
  assert.deepEqual(others(await sentFor(page, "Again")), expected);
  await button(page, "New conversation").click();
  assert.deepEqual(others(await sentFor(page, "Elsewhere")), {});
});

test("a setting is reset alone, and all are", async (t) => {
  const { page, dialog } = await opened(t);
  await set(dialog, "Temperature", "0.2");
  await set(dialog, "Top-k", "5");
  await set(dialog, "System prompt", "Be brief.");
  await dialog.getByText("Tools, format and raw fields").click();
  await set(dialog, "JSON schema", "{}");
  await set(dialog, "Raw JSON", "[1]");
  await button(dialog, "Reset: Top-k").click();
  assert.equal(await dialog.getByLabel("Top-k", { exact: true }).inputValue(), "");
  assert.equal(await dialog.getByLabel("Temperature", { exact: true }).inputValue(), "0.2");
  await button(dialog, "Reset all").click();
  assert.equal(await dialog.getByLabel("Temperature", { exact: true }).inputValue(), "");
  for (const label of ["System prompt", "JSON schema", "Raw JSON"]) {
    assert.equal(await dialog.getByLabel(label, { exact: true }).inputValue(), "");
  }
});

test("a press on the scrollbar of a dialog does not close it", async (t) => {
  const { dialog } = await opened(t, { context: { viewport: { width: 1000, height: 500 } } });
  const isScrolled = (it) => it.scrollHeight > it.clientHeight;
  // A press on what scrolls is one on its scrollbar; beside the content the dialog closes.
  assert.ok(!(await dialog.evaluate(isScrolled)));
  assert.ok(await dialog.locator(".modal-body").evaluate(isScrolled));
});

test("the system prompt comes first, changes in place and goes away", async (t) => {
  const { page } = await visit(t);
  const roles = ({ messages }) => messages.map(({ role, content }) => [role, content]);
  let dialog = await settings(page);
  await set(dialog, "System prompt", "Be brief.");
  await closeDialog(page);
  assert.deepEqual(roles(await sentFor(page, "Hi"))[0], ["system", "Be brief."]);
  dialog = await settings(page);
  await set(dialog, "System prompt", "Be kind.");
  await closeDialog(page);
  const changed = roles(await sentFor(page, "Hi again"));
  assert.deepEqual(changed.map(([role]) => role), ["system", "user", "assistant", "user"]);
  assert.equal(changed[0][1], "Be kind.");
  dialog = await settings(page);
  await button(dialog, "Reset: System prompt").click();
  await closeDialog(page);
  assert.equal(roles(await sentFor(page, "Bye"))[0][0], "user");
});

test("JSON is checked before it is used, and raw fields override others", async (t) => {
  const { page, dialog } = await opened(t);
  await dialog.getByText("Tools, format and raw fields").click();
  await set(dialog, "JSON schema", "[1]");
  await dialog.getByText("Expected a JSON object").waitFor();
  await set(dialog, "JSON schema", '{"type": "object"}');
  await set(dialog, "Temperature", "0.2");
  await set(dialog, "Raw JSON", '{"temperature": 0, "n_probs": 2}');
  await closeDialog(page);
  const body = others(await sentFor(page, '{"write": "</think>{}"}'));
  assert.deepEqual(body, { json_schema: { type: "object" }, temperature: 0, n_probs: 2 });
});

test("a value that the server refuses is named with what to do", async (t) => {
  const { page, dialog } = await opened(t);
  await dialog.getByText("Tools, format and raw fields").click();
  await set(dialog, "Raw JSON", '{"temperature": "warm"}');
  await closeDialog(page);
  await ask(page, "Hi");
  const alert = page.getByRole("alert");
  await alert.getByText(/temperature/).waitFor();
  await alert.getByText("Check the settings of this conversation.").waitFor();
});

test("settings are used for new conversations if the user says so", async (t) => {
  const { page, dialog } = await opened(t);
  await set(dialog, "Temperature", "0.3");
  await set(dialog, "System prompt", "Be brief.");
  await button(dialog, "Use for new conversations").click();
  await closeDialog(page);
  await button(page, "New conversation").click();
  const body = await sentFor(page, "Hi");
  assert.deepEqual([others(body), body.messages[0].content], [{ temperature: 0.3 }, "Be brief."]);
});

test("the theme follows the system or the user's choice", async (t) => {
  const { page } = await visit(t, { context: { colorScheme: "dark" } });
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await back();
  const dialog = await settings(page);
  await dialog.getByLabel("Light").check();
  const light = await back();
  assert.notEqual(light, dark);
  await page.reload();
  assert.equal(await back(), light);
});

test("reasoning is unfolded if the user says so", async (t) => {
  const { page, dialog } = await opened(t);
  await dialog.getByLabel("Always unfold reasoning").check();
  await closeDialog(page);
  await ask(page, "Hi");
  await lastAnswer(page).getByText("The user wrote a text").waitFor();
});

test("what is typed stays while an answer is saved", async (t) => {
  const { page } = await visit(t, { answers: { Wait: { write: "</think>\n\nNow.", wait: 60_000 } } });
  await ask(page, "Wait");
  await button(page, "Stop").waitFor();
  const dialog = await settings(page);
  await dialog.getByLabel("System prompt", { exact: true }).fill("Be br");
  await dialog.getByLabel("Temperature", { exact: true }).fill("0.2");
  await page.evaluate(async () => (await import("/app/conversations.js")).current.value.save());
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(drawn)));
  assert.equal(await dialog.getByLabel("Temperature", { exact: true }).inputValue(), "0.2");
  assert.equal(await dialog.getByLabel("System prompt", { exact: true }).inputValue(), "Be br");
  await page.keyboard.press("Tab");
  await button(dialog, "Reset: Temperature").waitFor();
  await closeDialog(page);
  await button(page, "Stop").click();
  await idle(page);
});
