// A long and fast answer does not make the page stutter.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, idle, lastAnswer } from "./page.mjs";
import { visit } from "./harness.mjs";

const part = (at) =>
  [
    `## Part ${at}`,
    `Some **bold** text with \`code\` and $x_${at}^2$, and a [link](https://example.com) to ${"somewhere ".repeat(20)}`,
    `- one\n- two\n- three with *emphasis*`,
    `\`\`\`python\n${"def f(x):\n    return [x + 1 for _ in range(10)]\n\n".repeat(6)}\`\`\``,
    `| a | b | c |\n| --- | --- | --- |\n${"| 1 | 2 | three |\n".repeat(8)}`,
  ].join("\n\n");

const LONG = {
  code: `\`\`\`python\n${"x = [1, 2, 3]  # a line of code\n".repeat(1500)}`,
  table: `| a | b | c |\n| --- | --- | --- |\n${"| one | two | three |\n".repeat(1200)}`,
  list: "- an item with *emphasis* and `code`\n".repeat(900),
  paragraph: "word ".repeat(6000),
};

for (const [name, text] of Object.entries(LONG)) {
  test(`a growing ${name} is not parsed again for each token`, async (t) => {
    const { page } = await visit(t);
    const { parsed, isWhole } = await page.evaluate(async (text) => {
      const { Growing } = await import("/app/markdown.js");
      const growing = new Growing();
      let [parsed, before, now] = [0, null, 0];
      // Tokens of four characters, 200 a second.
      for (let end = 4; end < text.length; end += 4, now += 5) {
        const blocks = growing.blocks(text.slice(0, end), false, now);
        if (blocks !== before) parsed += end;
        before = blocks;
      }
      const wait = growing.wait(text, now);
      const last = growing.blocks(text, false, now + wait).join("");
      return { parsed: parsed / text.length, isWhole: last === new Growing().blocks(text, false).join("") };
    }, text);
    t.diagnostic(`each character is parsed ${parsed.toFixed(0)} times`);
    assert.ok(parsed < 250, `${parsed}`);
    assert.ok(isWhole, "the end is shown without a further token");
  });
}

test("what follows a long block does not wait for it", async (t) => {
  const { page } = await visit(t);
  const delays = await page.evaluate(async (text) => {
    const { Growing } = await import("/app/markdown.js");
    const growing = new Growing();
    let now = 0;
    const show = (shown, by) => growing.blocks(shown, false, (now += by)).join("");
    show(text, 1e6);
    const shown = `${text}\n\nA paragraph after it`;
    show(shown, 1e6);
    return Array.from({ length: 20 }, (_, at) => show(`${shown}${"x".repeat(at)}`, 5).endsWith(`${"x".repeat(at)}</p>\n`));
  }, LONG.table);
  assert.ok(delays.every(Boolean), JSON.stringify(delays));
});

test("frames stay short while an answer of thousands of tokens arrives at 200 tokens a second", async (t) => {
  const write = `</think>\n\n${Array.from({ length: 6 }, (_, at) => part(at)).join("\n\n")}\n\nThe end.`;
  const { page } = await visit(t, { answers: { Long: { write, rate: 200 } } });
  await ask(page, "Long");
  await lastAnswer(page).getByText("Part 1", { exact: true }).waitFor();
  await page.evaluate(() => {
    window.frames_ = [];
    let last = performance.now();
    const frame = (now) => {
      window.frames_.push(now - last);
      last = now;
      if (!window.isOver) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  await lastAnswer(page).getByText("The end.").waitFor({ timeout: 120_000 });
  const frames = await page.evaluate(() => ((window.isOver = true), window.frames_));
  await idle(page);
  frames.sort((a, b) => a - b);
  const [median, p95] = [0.5, 0.95].map((share) => frames[Math.floor(share * frames.length)]);
  t.diagnostic(`${frames.length} frames, median ${median.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms`);
  assert.ok(frames.length > 100);
  // Only a machine without other work shows what the page itself takes.
  if (process.env.GGRUN_SLOW_TESTS) assert.ok(p95 <= 32, `${p95} ms`);
});
