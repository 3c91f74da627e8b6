// Answers: how they arrive, and what can be done with them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answered, answers, ask, asked, button, closeDialog, composer, idle, input, lastAnswer, nextRequest } from "./page.mjs";
import { checkAccess, visit } from "./harness.mjs";

const script = (write, more = {}) => ({ write, ...more });

test("an answer arrives as it is written, after its reasoning with the time it took", async (t) => {
  const hello = script("I greet back.</think>\n\nHello, *you*.", { rate: 10 });
  const { page } = await visit(t, { answers: { Hi: hello } });
  const live = page.getByText("Reasoning…").waitFor();
  await ask(page, "Hi");
  await live;
  await page.getByLabel("Model").locator("em", { hasText: "you" }).waitFor();
  await idle(page);
  assert.equal(await lastAnswer(page).locator(".prose").innerText(), "Hello, you.");
  const fold = lastAnswer(page).getByRole("button", { name: /^Reasoning, [\d.]+ (ms|s)$/ });
  assert.equal(await page.getByText("I greet back.").count(), 0, "the reasoning is folded");
  await fold.click();
  await page.getByText("I greet back.").waitFor();
  await checkAccess(page);
});

test("reasoning can be ended, and the answer follows", async (t) => {
  const long = script(`${"hm ".repeat(4000)}</think>\n\nDone.`, { rate: 60 });
  const { page } = await visit(t, { answers: { Think: long } });
  await ask(page, "Think");
  await button(page, "Answer now").click();
  await lastAnswer(page).locator(".prose", { hasText: "Done." }).waitFor();
  await idle(page);
});

test("a stopped answer stays and is continued where it ended", async (t) => {
  const words = Array.from({ length: 400 }, (_, at) => `word${at}`).join(" ");
  const { page } = await visit(t, { answers: { Count: script(`</think>\n\n${words}`, { rate: 100 }) } });
  await ask(page, "Count");
  await lastAnswer(page).getByText("word5").waitFor();
  await page.keyboard.press("Escape");
  await idle(page);
  await page.getByText("Stopped", { exact: true }).waitFor();
  assert.ok(!(await lastAnswer(page).innerText()).includes("word399"));
  await button(lastAnswer(page), "Continue").click();
  await lastAnswer(page).getByText("word399").waitFor();
  await idle(page);
  assert.equal(await lastAnswer(page).locator(".prose").innerText(), words);
  assert.equal(await page.getByText("Stopped", { exact: true }).count(), 0);
});

test("another answer is an alternative, and the arrows step between them", async (t) => {
  const { page } = await visit(t);
  await answered(page, "One");
  await button(lastAnswer(page), "Regenerate").click();
  await page.getByRole("group", { name: "2 of 2" }).waitFor();
  await idle(page);
  await button(page, "Previous alternative").click();
  await page.getByRole("group", { name: "1 of 2" }).waitFor();
  assert.equal(await answers(page).count(), 1);
  assert.ok(await button(page, "Previous alternative").isDisabled());
  await page.reload();
  await page.getByRole("group", { name: "1 of 2" }).waitFor();
});

test("a changed message is a branch of its own with its own answer", async (t) => {
  const { page } = await visit(t);
  await answered(page, "First");
  await answered(page, "Second");
  await asked(page).first().hover();
  await button(asked(page).first(), "Edit").click();
  await page.getByLabel("Edit message").fill("Changed");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("You wrote: Changed").waitFor();
  await idle(page);
  assert.equal(await asked(page).count(), 1, "the branch begins with the changed message");
  await button(page, "Previous alternative").click();
  await lastAnswer(page).getByText("You wrote: Second").waitFor();
});

test("an answer that the user changes is an alternative", async (t) => {
  const { page } = await visit(t);
  await answered(page, "Hello");
  await button(lastAnswer(page), "Edit").click();
  await page.getByLabel("Edit message").fill("My own words");
  await button(page, "Save as alternative").click();
  await lastAnswer(page).getByText("My own words").waitFor();
  await page.getByRole("group", { name: "2 of 2" }).waitFor();
});

test("a message is deleted with what follows it, after a question", async (t) => {
  const { page } = await visit(t);
  await answered(page, "Keep");
  await answered(page, "Drop");
  await asked(page).last().hover();
  await button(asked(page).last(), "Delete message").click();
  await page.getByText("This message and the one after it will be permanently deleted.").waitFor();
  await checkAccess(page);
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await lastAnswer(page).getByText("You wrote: Keep").waitFor();
  assert.equal(await answers(page).getByText("You wrote: Drop").count(), 0);
});

test("answers, and the code in them, are copied as they were written", async (t) => {
  const text = "Run this:\n\n```sh\necho 'a  b' && ls\n```";
  const context = { permissions: ["clipboard-read", "clipboard-write"] };
  const { page } = await visit(t, { answers: { Code: script(`</think>\n\n${text}`) }, context });
  const clipboard = () => page.evaluate(() => navigator.clipboard.readText());
  await answered(page, "Code");
  const copied = page.getByText("Copied", { exact: true }).first().waitFor();
  await button(page, "Copy code").click();
  await copied;
  assert.equal(await clipboard(), "echo 'a  b' && ls");
  await button(lastAnswer(page), "Copy message").click();
  await page.waitForFunction((text) => navigator.clipboard.readText().then((copied) => copied === text), text);
});

test("code has colors, tables have cells, and formulas are MathML", async (t) => {
  const text = [
    "```python\ndef f(x):\n    return x\n```",
    "| a | b |\n| --- | ---: |\n| 1 | $x^2$ |",
    "so $n$ is \\(k\\), and 5$ and 6$ are prices\n\n$$\n\\frac{1}{2}\n$$\n\n\\[ y \\]",
    "- [x] done\n- List<String> <b onclick=alert(1)>",
  ].join("\n\n");
  const { page } = await visit(t, { answers: { Show: script(`</think>\n\n${text}`) } });
  await answered(page, "Show");
  const answer = lastAnswer(page);
  await answer.locator(".hljs-keyword", { hasText: "def" }).waitFor();
  await answer.locator("math").nth(4).waitFor();
  assert.equal(await answer.locator("math").count(), 5);
  assert.equal(await answer.locator("td").nth(1).getAttribute("align"), "right");
  assert.match(await answer.innerText(), /5\$ and 6\$ are prices/);
  assert.match(await answer.innerText(), /☑ done[^]*List<String> <b onclick=alert\(1\)>/);
  await checkAccess(page);
});

test("calls of tools are shown, and their results are sent", async (t) => {
  const call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>';
  const weather = script([`I look.</think>\n\n${call}`, "</think>\n\nIt is cold in Oslo."]);
  const { page } = await visit(t, { answers: { Weather: weather } });
  await page.keyboard.press("Control+.");
  await page.getByText("Tools, format and raw fields").click();
  const tools = [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }];
  await page.getByLabel("Tools", { exact: true }).fill(JSON.stringify(tools));
  await page.keyboard.press("Tab");
  await closeDialog(page);
  await ask(page, "Weather");
  await page.getByText('"city": "Oslo"').waitFor();
  await page.getByLabel("Result of weather").fill("-12 °C");
  await checkAccess(page);
  const sent = nextRequest(page);
  await button(page, "Send results").click();
  const { messages } = await sent;
  assert.equal(messages.at(-1).role, "tool");
  assert.equal(messages.at(-1).content, "-12 °C");
  assert.equal(messages.at(-1).tool_call_id, messages.at(-2).tool_calls[0].id);
  await lastAnswer(page).getByText("It is cold in Oslo.").waitFor();
});

test("an answer that fails says so and is tried again", async (t) => {
  const { page } = await visit(t, { answers: { Fail: script("</think>\n\nHalf of it", { fail: "step", after: 4 }) } });
  await ask(page, "Fail");
  await page.getByRole("alert").waitFor();
  await checkAccess(page);
  await button(page, "Retry").click();
  await page.getByRole("alert").waitFor();
  await button(page, "Dismiss").click();
  assert.equal(await page.getByRole("alert").count(), 0);
});

test("an answer that cannot be continued is not asked for anew by another try", async (t) => {
  const { page } = await visit(t);
  await answered(page, "One");
  await page.route("**/chat/completions", (route) => route.fulfill({ status: 500, json: {} }));
  await button(lastAnswer(page), "Continue").click();
  await page.getByRole("alert").waitFor();
  await page.unroute("**/chat/completions");
  const sent = nextRequest(page);
  await button(page, "Retry").click();
  assert.equal((await sent).continue_final_message, true);
  await idle(page);
  assert.equal(await answers(page).count(), 1);
});

test("a changed message is not sent while an answer is written", async (t) => {
  const { page } = await visit(t, { answers: { Wait: script("</think>\n\nNow.", { wait: 60_000 }) } });
  await answered(page, "One");
  await input(page).press("ArrowUp");
  await ask(page, "Wait");
  await button(page, "Stop").waitFor();
  await page.getByLabel("Edit message").press("Enter");
  assert.ok(await button(asked(page).first(), "Send").isDisabled());
  assert.equal(await asked(page).count(), 2);
  await button(page, "Stop").click();
  await idle(page);
});

test("a message without an answer gets one later", async (t) => {
  const wait = script("</think>\n\nNow.", { wait: 60_000 });
  const { page } = await visit(t, { answers: { Wait: wait } });
  await ask(page, "Wait");
  await button(page, "Stop").click();
  await idle(page);
  assert.equal(await answers(page).count(), 0);
  await page.reload();
  await button(page, "Answer this message").click();
  await button(page, "Stop").click();
  await idle(page);
  await button(asked(page), "Edit").click();
  await page.getByLabel("Edit message").fill("Now");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("You wrote: Now").waitFor();
});

test("a conversation that does not fit says by how much", async (t) => {
  const { page } = await visit(t, { args: ["--context", "256", "--parallel", "1"] });
  await ask(page, "word ".repeat(600));
  const alert = page.getByRole("alert");
  await alert.getByText(/The conversation has [\d,]+ tokens, but the context holds only 256\./).waitFor();
  await alert.getByText(/Start a new conversation/).waitFor();
});

test("figures tell the speed, the first token and what was reused", async (t) => {
  const { page } = await visit(t);
  await answered(page, "A message of some length, so that there is something to reuse");
  await answered(page, "Another");
  const figures = lastAnswer(page).getByLabel("Details of the answer");
  assert.match(await figures.innerText(), /tokens\/s · \d+ tokens · first token after [\d.]+ (ms|s) · reused \d+ of \d+ tokens/);
  assert.match(await composer(page).getByRole("meter").getAttribute("aria-label"), /Context: \d+ of [\d,]+ tokens used/);
});

test("the progress of a long prompt is shown with the time left", async (t) => {
  const long = "word ".repeat(700).trim();
  const { page } = await visit(t, { answers: { [long]: script("</think>\n\nRead.", { read: 150 }) } });
  const live = [/Reading the prompt, \d+ of [\d,]+ tokens/, /about .* left/].map((text) => page.getByText(text).first().waitFor());
  await ask(page, long);
  await Promise.all(live);
  await lastAnswer(page).getByText("Read.", { exact: true }).waitFor();
});

test("the time left is from how fast the prompt was read since the first progress", async (t) => {
  const { page } = await visit(t);
  await input(page).waitFor();
  await page.evaluate(() => {
    const { fetch } = window;
    const progress = ([processed, time_ms]) => ({ id: "a", choices: [], prompt_progress: { total: 1000, cache: 100, processed, time_ms } });
    const chunks = [[500, 1000], [600, 3000]].map(progress).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
    const start = (stream) => stream.enqueue(new TextEncoder().encode(chunks.join("")));
    const answer = () => new Response(new ReadableStream({ start }));
    window.fetch = async (address, ...more) => (String(address).endsWith("/chat/completions") ? answer() : fetch(address, ...more));
  });
  await ask(page, "Long");
  await page.getByText("about 8.0 s left").waitFor();
});

test("a request that waits for a slot says at which place", async (t) => {
  const { server, page } = await visit(t, { args: ["--parallel", "1"], answers: { Long: script(`</think>\n\n${"x ".repeat(3000)}`, { rate: 50 }) } });
  const body = JSON.stringify({ messages: [{ role: "user", content: "Long" }], stream: true });
  const others = [];
  const other = async () => {
    const abort = new AbortController();
    others.push(() => abort.abort());
    return fetch(`${server.url}/v1/chat/completions`, { method: "POST", body, signal: abort.signal });
  };
  await (await other()).body.getReader().read();
  await other();
  await ask(page, "Hi");
  await page.getByText("Waiting for a free slot, number 2 of 2 in the queue").waitFor();
  others[1]();
  await page.getByText("Waiting for a free slot, number 1 of 1 in the queue").waitFor();
  others[0]();
  await lastAnswer(page).getByText("You wrote: Hi").waitFor();
});
