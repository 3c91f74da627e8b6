// Texts of the model and of files are untrusted: whatever they contain, in whatever field, is shown or dropped, and does
// nothing.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { visit } from "./harness.mjs";
import { answered, ask, button, closeDialog, idle, importFiles, lastAnswer } from "./page.mjs";

const ELSEWHERE = "https://elsewhere.example";

// Each would set `window.hit`, ask another host, or cover the page.
const MARKUP = [
  `<img src=x onerror="window.hit='img'">`,
  `<img src="${ELSEWHERE}/a.png?q=secret">`,
  `<script>window.hit='script'</script>`,
  `<script src="${ELSEWHERE}/a.js"></script>`,
  `<svg onload="window.hit='svg'"><a xlink:href="javascript:window.hit='svg'"><text>x</text></a></svg>`,
  `<iframe srcdoc="<script>parent.hit='frame'</script>"></iframe>`,
  `<iframe src="javascript:parent.hit='frame'"></iframe>`,
  `<object data="${ELSEWHERE}/a"></object><embed src="${ELSEWHERE}/a">`,
  `<a href="javascript:window.hit='link'" id="message">a link</a>`,
  `<a href=" &#106;avascript:window.hit='link'">a link</a>`,
  `<a href="data:text/html,<script>opener.hit='data'</script>">a link</a>`,
  `<form action="${ELSEWHERE}"><button formaction="javascript:window.hit='form'">Send</button></form>`,
  `<style>* { display: none !important } @import url(${ELSEWHERE}/a.css);</style>`,
  `<link rel="stylesheet" href="${ELSEWHERE}/a.css"><link rel="prefetch" href="${ELSEWHERE}/a">`,
  `<meta http-equiv="refresh" content="0;url=${ELSEWHERE}"><base href="${ELSEWHERE}">`,
  `<div style="position: fixed; inset: 0; background: red; z-index: 9999" class="veil">over everything</div>`,
  `<p id="app" name="body" class="hidden">named</p>`,
  `<video autoplay src="${ELSEWHERE}/a.mp4" onerror="window.hit='video'"></video>`,
  `<details open ontoggle="window.hit='toggle'"><summary onclick="window.hit='click'">more</summary>x</details>`,
  `<math><mtext><table><mglyph><style><img src=x onerror="window.hit='mathml'"></style></mglyph></table></mtext></math>`,
  `<noscript><p title="</noscript><img src=x onerror=window.hit='noscript'>"></noscript>`,
  `<template><img src=x onerror="window.hit='template'"></template>`,
  `<input autofocus onfocus="window.hit='focus'">`,
];
const MARKDOWN = [
  `![picture](${ELSEWHERE}/a.png?q=secret)`,
  `![picture](javascript:window.hit='image')`,
  `[a link](javascript:window.hit='markdown')`,
  `[a link](<java\nscript:window.hit='markdown'>)`,
  `[a link](${ELSEWHERE} "x\\" onmouseover=\\"window.hit='title'")`,
  `[a link][ref] and ![picture][ref]\n\n[ref]: javascript:window.hit='reference'`,
  `<javascript:window.hit='autolink'>`,
  "```html\" onclick=\"window.hit='language'\n<img src=x onerror=\"window.hit='code'\">\n```",
  "`<img src=x onerror=\"window.hit='code'\">`",
  `| <img src=x onerror="window.hit='table'"> | b |\n|---|---|\n| [a](javascript:window.hit='cell') | ![](${ELSEWHERE}/t.png) |`,
  `$\\href{javascript:window.hit='formula'}{x}$ and $\\url{javascript:window.hit='formula'}$`,
  `$$\\includegraphics{${ELSEWHERE}/f.png}$$`,
  `$$\\htmlStyle{position:fixed;inset:0}{x} \\class{veil}{y} \\id{app}{z} \\data{lang=a}{b}$$`,
  `$$\\def\\a{\\a\\a}\\a$$`,
  `$$\\rule{100000em}{100000em} \\hspace{9999999em} x$$`,
  `$<img src=x onerror="window.hit='formula'">$`,
];
const HOSTILE = [...MARKUP, ...MARKDOWN].join("\n\n");

/** Fails if a text has done anything. */
async function checkUnharmed(page) {
  const found = await page.evaluate(() => {
    for (const summary of document.querySelectorAll("summary")) summary.click();
    const content = [...document.querySelectorAll(".message, .sidebar, dialog, .bar")];
    const all = content.flatMap((part) => [...part.querySelectorAll("*")]);
    const named = (element) => `${element.tagName} ${element.outerHTML.slice(0, 200)}`;
    const never = "script, style, link, iframe, object, embed, img, video, audio, base, meta, template, noscript";
    const handlers = (element) => element.getAttributeNames().some((name) => name.startsWith("on"));
    const address = (element) => element.getAttribute("href") ?? element.getAttribute("src") ?? element.getAttribute("action");
    const composer = document.querySelector("#message").getBoundingClientRect();
    const top = document.elementFromPoint(composer.x + composer.width / 2, composer.y + composer.height / 2);
    return {
      hit: window.hit,
      never: all.filter((element) => element.matches(never)).map(named),
      handlers: all.filter(handlers).map(named),
      addresses: all.filter((element) => !/^(https?:|mailto:|#|$)/.test(address(element) ?? "")).map(named),
      // The library for formulas writes styles of its own.
      styled: all.filter((element) => element.matches(".prose [style]:not(math, math *, .temml-error)")).map(named),
      ids: [...document.querySelectorAll("#app, #message")].map((element) => element.tagName),
      composer: top?.id,
      wide: document.documentElement.scrollWidth > innerWidth,
      address: location.origin,
    };
  });
  const address = new URL(page.url()).origin;
  const none = { never: [], handlers: [], addresses: [], styled: [], wide: false };
  assert.deepEqual(found, { ...none, ids: ["DIV", "TEXTAREA"], composer: "message", address, hit: undefined });
}

test("hostile reasoning and answers do nothing", async (t) => {
  const write = `${HOSTILE}</think>\n\n${HOSTILE}`;
  const { page } = await visit(t, { answers: { go: { write } } });
  await answered(page, "go");
  await lastAnswer(page).getByRole("button", { name: "Reasoning" }).click();
  await checkUnharmed(page);
  await page.reload();
  await lastAnswer(page).waitFor();
  await checkUnharmed(page);
});

test("a hostile answer does nothing at any moment while it is written", async (t) => {
  const { page } = await visit(t, { answers: { go: { write: `</think>\n\n${HOSTILE}`, rate: 400 } } });
  await ask(page, "go");
  await lastAnswer(page).waitFor();
  while (await page.getByRole("button", { name: "Stop" }).count()) await checkUnharmed(page);
  await idle(page);
  await checkUnharmed(page);
});

test("hostile calls, their results and the texts of the user do nothing", async (t) => {
  const call = { name: MARKUP[0], arguments: { [MARKUP[2]]: HOSTILE } };
  const { page } = await visit(t, {
    answers: { [HOSTILE.trim()]: { write: [`</think>\n\n<tool_call>${JSON.stringify(call)}</tool_call>`, "</think>\n\nDone."] } },
  });
  await page.locator("#message").waitFor();
  await page.evaluate(async (name) => {
    const { current } = await import("/app/conversations.js");
    const tools = [{ type: "function", function: { name, description: name, parameters: { type: "object" } } }];
    current.value.settings = { tools: JSON.stringify(tools) };
  }, MARKUP[0]);
  await answered(page, HOSTILE);
  await checkUnharmed(page);
  await page.locator("form.calls textarea").fill(HOSTILE);
  await button(page, "Send results").click();
  await idle(page);
  await checkUnharmed(page);
});

/** Imports a conversation and shows it. */
async function openFile(page, server, lines) {
  const file = join(server.folder, "imported.jsonl");
  await writeFile(file, lines.map((line) => JSON.stringify(line)).join("\n"));
  await importFiles(page, file);
  await page.locator(".sidebar .entry").first().click();
  await lastAnswer(page).locator(".prose:not(.plain)").waitFor();
}

test("a hostile file of conversations does nothing", async (t) => {
  const { page, server } = await visit(t);
  const text = (role, more = {}) => ({ role, content: HOSTILE, reasoning_content: HOSTILE, ...more });
  const settings = { stop: MARKUP[0], samplers: { [MARKUP[0]]: 1 }, temperature: MARKUP[0], tools: { [MARKUP[0]]: 1 }, raw: 5 };
  const call = { id: MARKUP[0], type: "function", function: { name: MARKUP[0], arguments: HOSTILE } };
  const lines = [
    { ggrun_session: 2, model: MARKUP[0], title: MARKUP[0], page: { title: MARKUP[0], settings } },
    { id: MARKUP[0], parent: null, ...text("system") },
    { parent: 0, ...text("user") },
    { parent: 1, ...text("assistant", { tool_calls: [call], page: { finish: MARKUP[0], timings: { prompt_n: MARKUP[0] } } }) },
    { parent: 2, ...text("tool", { name: MARKUP[0], tool_call_id: MARKUP[0] }) },
    { parent: 3, ...text("assistant") },
  ];
  await openFile(page, server, lines);
  await checkUnharmed(page);
  await button(page, "Settings").click();
  await page.getByRole("textbox", { name: "Stop texts" }).waitFor();
  await closeDialog(page);
  await page.getByRole("button", { name: /^Actions for/ }).first().click();
  await checkUnharmed(page);
});

test("a hostile name of the model does nothing", async (t) => {
  const { page } = await visit(t, { args: ["--alias", MARKUP[0]] });
  await page.locator(".bar .muted", { hasText: "onerror" }).waitFor();
  await checkUnharmed(page);
});

// Texts for which patterns backtrack, parsers nest, or elements are many.
const ENDLESS = {
  quotes: "> ".repeat(20_000),
  numbers: "1. ".repeat(20_000),
  emphasis: "*a_b**c__".repeat(6000),
  brackets: "\\[a\n".repeat(25_000),
  displays: "a\n$$b$$\n".repeat(12_000),
  headings: "# a\n".repeat(20_000),
  fences: "```js\n".repeat(20_000),
  items: "- a\n".repeat(20_000),
  formulas: `$${"{".repeat(3000)}$ and $${"\\frac".repeat(700)}$ and $${"\\left(".repeat(600)}$`,
  formula: `$$${"x + ".repeat(20_000)}y$$`,
  word: `\`\`\`js\n${"y".repeat(100_000)}\n\`\`\``,
  signs: `\`\`\`java\n${"$".repeat(30_000)}\n\`\`\``,
};

test("no text holds up the page", { timeout: 300_000 }, async (t) => {
  const { page } = await visit(t);
  await page.locator("#message").waitFor();
  const found = await page.evaluate(async (texts) => {
    const { Growing } = await import("/app/markdown.js");
    const { decorate } = await import("/app/decorate.js");
    const shown = document.createElement("div");
    shown.className = "prose";
    document.querySelector(".column").append(shown);
    const result = {};
    for (const [name, text] of Object.entries(texts)) {
      const blocks = new Growing().blocks(text, true);
      shown.replaceChildren(
        ...blocks.map((block) => {
          const part = document.createElement("div");
          part.innerHTML = block;
          return part;
        }),
      );
      for (const part of shown.children) decorate(part);
      const letters = (some) => some.replace(/[^a-z]/g, "").length;
      result[name] = {
        isMany: shown.querySelectorAll("*").length > 30_000,
        isWhole: letters(shown.textContent) >= letters(text) * 0.9,
      };
    }
    return result;
  }, ENDLESS);
  for (const [name, { isMany }] of Object.entries(found)) assert.ok(!isMany, name);
  for (const name of ["emphasis", "headings", "items", "formula", "word", "signs"]) assert.ok(found[name].isWhole, name);
  // The page can be used while code is colored, and code that takes too long stays as it is.
  await ask(page, "Hi");
  await lastAnswer(page).getByText("You wrote: Hi").waitFor();
  await idle(page);
});

test("a long conversation shows its last messages, and earlier ones above them when asked", async (t) => {
  const { page, server } = await visit(t);
  const messages = Array.from({ length: 250 }, (_, at) => ({ role: at % 2 ? "assistant" : "user", content: `message ${at}` }));
  await openFile(page, server, [{ ggrun_session: 2, model: "m", title: "long" }, ...messages]);
  assert.equal(await page.locator(".message").count(), 100);
  const place = async () => (await page.getByText("message 150", { exact: true }).boundingBox()).y;
  for (const [left, top] of [[150, 0], [50, 20]]) {
    await page.locator(".thread").evaluate((thread, top) => (thread.scrollTop = top), top);
    const before = await place();
    await button(page, `Show earlier messages (${left} more)`).click();
    await page.locator(".message").nth(249 - Math.max(left - 100, 0)).waitFor();
    assert.ok(Math.abs((await place()) - before) <= 2, `from ${before} to ${await place()}`);
  }
  await page.getByText("message 0", { exact: true }).waitFor();
  assert.equal(await page.locator(".message").count(), 250);
});

test("many messages are merged and imported in a time that grows with their number", { timeout: 120_000 }, async (t) => {
  const { page } = await visit(t);
  const number = 60_000;
  const found = await page.evaluate(async (number) => {
    const { Tree } = await import("/app/tree.js");
    const { read } = await import("/app/format.js");
    const [mine, theirs] = [new Tree(), new Tree()];
    // Alternatives, of which each side lacks some, and a branch that one side has.
    for (let at = 0; at < number; at++) {
      const trees = [[mine, theirs], [mine], [theirs]][at % 3];
      for (const tree of trees) tree.add(null, { role: "user", content: `${at}` });
    }
    let last = null;
    for (let at = 0; at < number; at++) last = theirs.add(last, { role: "user", content: "below" });
    mine.merge(theirs, false);
    // Children are older than their parents.
    const message = (_, at) => ({ id: at, parent: at ? at - 1 : null, timestamp: -at, role: "user", content: "x" });
    const [imported] = read(JSON.stringify({ conv: {}, messages: Array.from({ length: number }, message) }));
    return { merged: mine.nodes.length, imported: imported.tree.branch().length };
  }, number);
  assert.deepEqual(found, { merged: 2 * number, imported: number });
});

test("code that takes too long stays as it is, and what follows gets its colors", async (t) => {
  const { page, server } = await visit(t);
  const slow = `\`\`\`java\n${"$".repeat(300_000)}\n\`\`\``;
  await openFile(page, server, [
    { ggrun_session: 2, model: "m", title: "slow" },
    { parent: null, role: "assistant", content: `${slow}\n\n\`\`\`python\ndef f(x):\n    return x\n\`\`\`` },
  ]);
  await lastAnswer(page).locator(".hljs-keyword", { hasText: "def" }).waitFor();
});

test("giant tables, lines and lists stay inside the page", async (t) => {
  const { page, server } = await visit(t);
  const cells = (text, number) => `|${` ${text} |`.repeat(number)}`;
  const table = [cells("head", 100), cells("---", 100), ...Array(100).fill(cells("cell", 100))].join("\n");
  const list = Array.from({ length: 60 }, (_, depth) => `${"  ".repeat(depth)}- item`).join("\n");
  const code = `\`\`\`js\n${"y".repeat(100_000)}\n\`\`\``;
  const formula = `$$${"x + ".repeat(2000)}y$$`;
  const content = [table, "x".repeat(100_000), list, `${"> ".repeat(200)}deep`, code, formula].join("\n\n");
  await openFile(page, server, [
    { ggrun_session: 2, model: "m", title: "w".repeat(1000) },
    { parent: null, role: "user", content: "u".repeat(100_000) },
    { parent: 0, role: "assistant", content, reasoning_content: content },
  ]);
  await lastAnswer(page).getByRole("button", { name: "Reasoning" }).click();
  await checkUnharmed(page);
  await page.setViewportSize({ width: 360, height: 740 });
  await page.getByRole("button", { name: "Hide conversations" }).click();
  await checkUnharmed(page);
});
