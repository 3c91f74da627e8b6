// The page without a mouse, without eyes, and on small screens.

import assert from "node:assert/strict";
import { test } from "node:test";
import { answered, answers, ask, asked, button, closeDialog, idle, input, lastAnswer } from "./page.mjs";
import { checkAccess, visit } from "./harness.mjs";

test("every shortcut of the list does what it says", async (t) => {
  const context = { permissions: ["clipboard-read", "clipboard-write"] };
  const { page } = await visit(t, { context });
  await answered(page, "First");
  await page.keyboard.press("Control+/");
  await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
  await checkAccess(page);
  await closeDialog(page);

  await page.keyboard.press("Control+Shift+Enter");
  await page.getByRole("group", { name: "2 of 2" }).waitFor();
  await idle(page);
  await page.keyboard.press("Control+Shift+Y");
  await page.waitForFunction(() => navigator.clipboard.readText().then((text) => text === "You wrote: First"));

  await page.keyboard.press("Control+.");
  await page.getByRole("dialog", { name: "Settings of this conversation" }).waitFor();
  await closeDialog(page);
  await page.keyboard.press("Control+i");
  await page.keyboard.type("two");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("lines");
  assert.equal(await input(page).inputValue(), "two\nlines");
  await page.keyboard.press("Control+a");
  await page.keyboard.press("Delete");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.getByLabel("Edit message").inputValue(), "First");
  await page.keyboard.press("Escape");

  await page.keyboard.press("Control+b");
  await page.getByRole("navigation").waitFor({ state: "detached" });
  await page.keyboard.press("Control+k");
  await page.waitForFunction(() => document.activeElement.id === "search");
  await page.keyboard.press("Control+Shift+L");
  await page.getByRole("heading", { name: "Server status" }).waitFor();
  await page.keyboard.press("Control+Shift+O");
  await page.getByRole("heading", { name: "Ask a question" }).waitFor();
});

test("a conversation is opened, renamed and deleted with keys alone", async (t) => {
  const { page } = await visit(t);
  await answered(page, "Some words");
  await page.keyboard.press("Control+Shift+O");
  await page.keyboard.press("Control+k");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await lastAnswer(page).getByText("You wrote: Some words").waitFor();
  await button(page, "Some words").first().focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("menu").waitFor();
  await checkAccess(page);
  await page.keyboard.press("Escape");
  await page.getByRole("menu").waitFor({ state: "detached" });
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Delete conversation?" }).waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("No conversations yet").waitFor();
});

test("an answer is announced a sentence at a time", async (t) => {
  const write = "</think>\n\nThe first sentence. The *second* one! And 3.5 more";
  const { page } = await visit(t, { answers: { Speak: { write } } });
  await answered(page, "Speak");
  const spoken = await page.locator("[aria-live=polite] p").allInnerTexts();
  assert.equal(spoken.join(" "), "The first sentence. The second one! And 3.5 more");
  assert.equal(spoken.at(-1), "And 3.5 more");
});

test("a narrow page has all of it, and nothing is wider than the screen", async (t) => {
  const code = `\`\`\`\n${"long ".repeat(60)}\n\`\`\`\n\n| ${"wide | ".repeat(12)}\n| ${"--- | ".repeat(12)}\n| ${"cell | ".repeat(12)}\n\n${"x".repeat(300)}\n\n$$${"a + ".repeat(60)}b$$`;
  const context = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true };
  const { page } = await visit(t, { answers: { Wide: { write: `</think>\n\n${code}` } }, context });
  await answered(page, "Wide");
  await answers(page).locator("math").waitFor();
  const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok((await overflow()) <= 0);
  await checkAccess(page);
  await button(page, "Show conversations").click();
  await checkAccess(page);
  assert.ok((await overflow()) <= 0);
  await button(page, "New conversation").click();
  await page.getByRole("navigation").waitFor({ state: "detached" });
  await button(page, "Settings").click();
  assert.ok((await overflow()) <= 0);
  await checkAccess(page);
  await button(page.getByRole("dialog"), "Close").click();
  await button(page, "Status").click();
  await page.getByRole("region", { name: "Slots" }).waitFor();
  assert.ok((await overflow()) <= 0);
});

for (const colorScheme of ["light", "dark"]) {
  test(`the ${colorScheme} colors have enough contrast`, async (t) => {
    const { page } = await visit(t, { context: { colorScheme }, answers: { Fail: { write: "</think>\n\nHalf", fail: "step", after: 1 } } });
    await checkAccess(page);
    await ask(page, "```js\nlet a = 1; // note\n```");
    await idle(page);
    await ask(page, "Fail");
    await page.getByRole("alert").waitFor();
    await checkAccess(page);
    assert.equal(await asked(page).count(), 2);
  });
}

test("the end of an answer is followed, unless the user scrolls up", async (t) => {
  const write = `</think>\n\n${Array.from({ length: 900 }, (_, at) => `line ${at}`).join("\n\n")}`;
  const { page } = await visit(t, { answers: { Long: { write, rate: 200 } } });
  const fromEnd = () => page.locator(".thread").evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight);
  await ask(page, "Long");
  await lastAnswer(page).getByText("line 60", { exact: true }).waitFor();
  const isAtEnd = () => {
    const { scrollHeight, scrollTop, clientHeight } = document.querySelector(".thread");
    return scrollHeight - scrollTop - clientHeight < 50;
  };
  await page.waitForFunction(isAtEnd);
  await page.locator(".thread").hover();
  await page.mouse.wheel(0, -600);
  await button(page, "Scroll to the end").waitFor();
  await lastAnswer(page).getByText("line 120", { exact: true }).waitFor();
  assert.ok((await fromEnd()) > 300);
  await button(page, "Scroll to the end").click();
  await page.waitForFunction(isAtEnd);
  // A little is enough, however fast the answer grows, unless it grows in the very frame.
  const isAwayAfterLittle = () => {
    document.querySelector(".thread").scrollBy(0, -20);
    return document.querySelector(".to-end");
  };
  await page.waitForFunction(isAwayAfterLittle, null, { polling: 50 });
});

test("an answer that ends does not move what is read", async (t) => {
  const write = `</think>\n\n${Array.from({ length: 80 }, (_, at) => `line ${at}`).join("\n\n")}`;
  const { page } = await visit(t, { answers: { Long: { write, rate: 200 } } });
  await ask(page, "Long");
  await lastAnswer(page).getByText("line 50", { exact: true }).waitFor();
  await page.locator(".thread").hover();
  await page.mouse.wheel(0, -600);
  await button(page, "Scroll to the end").waitFor();
  await idle(page);
  assert.ok((await page.locator(".thread").evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight)) > 300);
});

test("a suggestion and a next message belong to their conversation", async (t) => {
  const { page } = await visit(t, { answers: { Long: { write: `</think>\n\n${"more ".repeat(600)}`, rate: 40 } } });
  await button(page, "Write a polite email").click();
  await page.reload();
  await page.waitForFunction(() => document.getElementById("message")?.value.startsWith("Write a polite email"));
  await ask(page, "Long");
  await lastAnswer(page).getByText("more more").waitFor();
  await input(page).pressSequentially("next");
  await button(page, "New conversation").click();
  await page.getByRole("heading", { name: "Ask a question" }).waitFor();
  await page.waitForFunction(() => document.getElementById("message").value === "");
});

test("an unsent message stays where it was written", async (t) => {
  const { page } = await visit(t);
  await answered(page, "One");
  await input(page).fill("half of it");
  await button(page, "New conversation").click();
  await page.getByRole("heading", { name: "Ask a question" }).waitFor();
  await page.waitForFunction(() => document.getElementById("message").value === "");
  await page.goBack();
  await lastAnswer(page).getByText("You wrote: One").waitFor();
  await page.waitForFunction(() => document.getElementById("message").value === "half of it");
});

test("a text file becomes part of the message", async (t) => {
  const { page } = await visit(t);
  const chosen = page.waitForEvent("filechooser");
  await button(page, "Add a text file").click();
  await (await chosen).setFiles([{ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("one\n```\ntwo\n") }]);
  await page.waitForFunction(() => document.getElementById("message").value === "a.txt:\n````\none\n```\ntwo\n````");
  const many = page.waitForEvent("filechooser");
  await button(page, "Add a text file").click();
  await (await many).setFiles([{ name: "m.txt", mimeType: "text/plain", buffer: Buffer.from("` ".repeat(200_000)) }]);
  await page.waitForFunction(() => document.getElementById("message").value.includes("m.txt:\n```\n` `"));
  const binary = page.waitForEvent("filechooser");
  await button(page, "Add a text file").click();
  await (await binary).setFiles([{ name: "b.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 255, 1]) }]);
  await page.getByText("b.bin is not a text file").first().waitFor();
  const large = page.waitForEvent("filechooser");
  await button(page, "Add a text file").click();
  await (await large).setFiles([{ name: "c.txt", mimeType: "text/plain", buffer: Buffer.alloc((1 << 20) + 1, "c") }]);
  await page.getByText("c.txt is larger than 1 MiB").first().waitFor();
});

test("what is written while a file is read stays, and a dropped text is the browser's", async (t) => {
  const { page } = await visit(t);
  await input(page).waitFor();
  await page.evaluate(() => {
    const { arrayBuffer } = Blob.prototype;
    const released = new Promise((resolve) => (window.release = resolve));
    Blob.prototype.arrayBuffer = async function () {
      await released;
      return arrayBuffer.call(this);
    };
  });
  const chosen = page.waitForEvent("filechooser");
  await button(page, "Add a text file").click();
  await (await chosen).setFiles([{ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("one") }]);
  await input(page).fill("Read this");
  await page.evaluate(() => window.release());
  await page.waitForFunction(() => document.getElementById("message").value === "Read this\n\na.txt:\n```\none\n```");
  const isTaken = await input(page).evaluate((area) => {
    const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: new DataTransfer() });
    area.dispatchEvent(drop);
    return drop.defaultPrevented;
  });
  assert.ok(!isTaken);
});

test("a dialog that is closed gives the focus back, and does not take it from what the user went to", async (t) => {
  const { page } = await visit(t);
  const focused = () => page.evaluate(() => document.activeElement.ariaLabel ?? document.activeElement.id);
  await button(page, "Settings").click();
  await button(page.getByRole("dialog"), "Close").click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await focused(), "Settings");
  await button(page, "Settings").click();
  await page.getByRole("dialog").evaluate((dialog) => {
    dialog.close();
    document.getElementById("message").focus();
  });
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await focused(), "Message");
});
