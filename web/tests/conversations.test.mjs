// The list of conversations, and where they are kept.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { answered, answers, ask, asked, button, comeBack, fileOf, idle, importFiles, lastAnswer, nextRequest } from "./page.mjs";
import { browse, checkAccess, visit } from "./harness.mjs";

const rows = (page) => page.getByRole("navigation").locator("li");

/** A folder for conversations, as arguments of the server. */
async function kept(t) {
  const folder = await mkdtemp(join(tmpdir(), "ggrun-conversations-"));
  t.after(() => rm(folder, { recursive: true }));
  return { folder, args: ["--sessions-dir", folder] };
}

async function act(page, title, action) {
  await rows(page).filter({ hasText: title }).hover();
  await button(page, `Actions for “${title}”`).click();
  await page.getByRole("menuitem", { name: action }).click();
}

async function lines(folder) {
  const [name] = await readdir(folder);
  return (await readFile(join(folder, name), "utf8")).trim().split("\n").map((line) => JSON.parse(line));
}

test("conversations are files of `ggrun chat --session`, with all branches", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args });
  await answered(page, "What is the capital of Kenya?");
  await button(lastAnswer(page), "Regenerate").click();
  await page.getByRole("group", { name: "2 of 2" }).waitFor();
  await idle(page);
  const [head, ...messages] = await lines(folder);
  assert.deepEqual([head.ggrun_session, head.title, head.current], [2, "What is the capital of Kenya?", 2]);
  assert.deepEqual(messages.map(({ parent, role }) => [parent, role]), [[null, "user"], [0, "assistant"], [0, "assistant"]]);
  assert.equal(messages[1].content, "You wrote: What is the capital of Kenya?");
  assert.match((await readdir(folder))[0], /^what-is-the-capital-of-kenya-\w+\.jsonl$/);
});

test("a conversation of the terminal is continued in the browser", async (t) => {
  const { folder, args } = await kept(t);
  const begun = [
    { ggrun_session: 2, model: "m.gguf", current: 2 },
    { parent: null, role: "system", content: "Be brief." },
    { parent: 0, role: "user", content: "one?" },
    { parent: 1, role: "assistant", content: "1", reasoning_content: "hm" },
  ];
  await writeFile(join(folder, "sums.jsonl"), begun.map((line) => JSON.stringify(line) + "\n").join(""));
  const { page } = await visit(t, { args });
  await button(page, "sums").first().click();
  await page.getByText("Be brief.").waitFor();
  const sent = nextRequest(page);
  await ask(page, "two?");
  const { messages } = await sent;
  assert.deepEqual(messages.map(({ role }) => role), ["system", "user", "assistant", "user"]);
  assert.ok(messages.every((message) => !("page" in message)), "what the page keeps for itself is not sent");
  await idle(page);
  const saved = await lines(folder);
  assert.deepEqual(saved.map(({ content }) => content), [undefined, "Be brief.", "one?", "1", "two?", "You wrote: two?"]);
});

test("what another program adds meanwhile stays, and is shown", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args });
  await answered(page, "mine");
  const [name] = await readdir(folder);
  const other = { parent: 1, role: "user", content: "theirs" };
  const text = await readFile(join(folder, name), "utf8");
  await writeFile(join(folder, name), text + JSON.stringify(other) + "\n");
  await answered(page, "mine again");
  const saved = await lines(folder);
  assert.ok(saved.some(({ content }) => content === "theirs"));
  await lastAnswer(page).getByText("You wrote: mine again").waitFor();
  await page.getByRole("group", { name: /of 2/ }).waitFor();
});

test("what another program deletes meanwhile is saved again with the next message", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args });
  await answered(page, "mine");
  const [name] = await readdir(folder);
  await rm(join(folder, name));
  await answered(page, "mine again");
  assert.deepEqual(await readdir(folder), [name]);
  assert.equal((await lines(folder)).length, 5);
});

test("without a folder conversations stay in the browser", async (t) => {
  const { page } = await visit(t);
  await page.getByText("Stored in this browser only").waitFor();
  await answered(page, "Remember me");
  await page.reload();
  await lastAnswer(page).getByText("You wrote: Remember me").waitFor();
  assert.equal(await rows(page).count(), 1);
});

for (const place of ["on the server", "in the browser"]) {
  test(`conversations ${place} are found, renamed and deleted`, async (t) => {
    const { page } = await visit(t, place === "on the server" ? await kept(t) : {});
    for (const text of ["Apples and pears", "Trains", "Ships"]) {
      await button(page, "New conversation").click();
      await answered(page, text);
    }
    assert.equal(await rows(page).count(), 3);
    await page.keyboard.press("Control+k");
    await page.keyboard.type("pears");
    await rows(page).filter({ hasText: "Trains" }).waitFor({ state: "detached" });
    assert.equal(await rows(page).count(), 1);
    await page.getByLabel("Search conversations").fill("nothing of this kind");
    await page.getByText("No conversation matches").waitFor();
    await page.getByLabel("Search conversations").fill("");
    await act(page, "Trains", "Rename");
    await checkAccess(page);
    await page.getByLabel("Title").fill("Night trains");
    await page.keyboard.press("Enter");
    await rows(page).filter({ hasText: "Night trains" }).waitFor();
    await act(page, "Ships", "Delete");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await rows(page).filter({ hasText: "Ships" }).waitFor({ state: "detached" });
    await page.reload();
    await rows(page).filter({ hasText: "Night trains" }).waitFor();
    assert.equal(await rows(page).count(), 2);
    await checkAccess(page);
  });
}

test("a conversation is exported as its file, and imported again", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args });
  await answered(page, "Take me with you");
  const downloading = page.waitForEvent("download");
  await act(page, "Take me with you", "Export");
  const download = await downloading;
  const [name] = await readdir(folder);
  assert.equal(download.suggestedFilename(), name);
  const text = await readFile(await download.path(), "utf8");
  assert.deepEqual(text.trim().split("\n").map((line) => JSON.parse(line)), await lines(folder));
  await importFiles(page, fileOf(name, text));
  await page.getByText("Imported 1 conversation").first().waitFor();
  await rows(page).nth(1).waitFor();
});

test("all conversations are exported as JSON of llama.cpp's page, and imported elsewhere", async (t) => {
  const { page, server } = await visit(t);
  await answered(page, "To another browser");
  await button(lastAnswer(page), "Regenerate").click();
  await idle(page);
  const downloading = page.waitForEvent("download");
  await button(page, "Export all").click();
  const file = await (await downloading).path();
  const [{ conv, messages }] = JSON.parse(await readFile(file, "utf8"));
  assert.deepEqual([conv.name, messages[0].type, messages.length], ["To another browser", "root", 4]);
  assert.ok(messages.every(({ id, parent }) => parent === null || messages.some((one) => one.id === parent && one.children.includes(id))));
  const other = await browse(t, server);
  await importFiles(other, file);
  await button(other, "To another browser").first().click();
  await other.getByRole("group", { name: "2 of 2" }).waitFor();
});

test("conversations of llama.cpp's page keep reasoning, calls and branches", async (t) => {
  const message = (id, parent, role, content, more = {}) => ({ id, convId: "c", type: "text", timestamp: 1, role, content, parent, children: [], ...more });
  const call = [{ id: "x", type: "function", function: { name: "look", arguments: "{}" } }];
  const exported = {
    conv: { id: "c", name: "From elsewhere", lastModified: 1, currNode: "e" },
    messages: [
      message("e", "d", "assistant", "Done."),
      message("r", null, "system", "", { type: "root" }),
      message("a", "r", "user", "Go", { extra: [{ type: "TEXT", name: "a.txt", content: "in a file" }] }),
      message("b", "a", "assistant", "Other branch"),
      message("c", "a", "assistant", "", { reasoningContent: "I call", toolCalls: JSON.stringify(call) }),
      message("d", "c", "tool", "found", { toolCallId: "x" }),
    ],
  };
  const { page } = await visit(t);
  await importFiles(page, fileOf("c.json", JSON.stringify(exported)));
  await button(page, "From elsewhere").first().click();
  await answers(page).getByText("Done.").waitFor();
  await asked(page).getByText("in a file").waitFor();
  await page.getByRole("article", { name: "Result of" }).getByText("found").waitFor();
  await page.getByRole("group", { name: "2 of 2" }).waitFor();
  await button(page, "Reasoning").click();
  await page.getByText("I call").waitFor();
});

test("a file that is not a conversation is refused by name", async (t) => {
  const { page } = await visit(t);
  const session = '{"ggrun_session": 2}\n';
  const messages = [`${session}{"role": "user", "content": 5}`, `${session}{"role": "assistant", "tool_calls": [{}]}`, `${session}x`];
  const elsewhere = ['[{"conv": {}, "messages": [{"role": 5}]}]', '{"conv": {}}'];
  for (const [at, text] of ["{}", "hello", "[]", '{"ggrun_session": 9}', "", ...messages, ...elsewhere].entries()) {
    await importFiles(page, fileOf(`${at}.txt`, text));
    await page.locator(".notice", { hasText: `Cannot import ${at}.txt` }).waitFor();
  }
  assert.equal(await rows(page).count(), 0);
  await importFiles(page, [fileOf("bad.txt", "{}"), fileOf("good.jsonl", `${session}{"role": "user", "content": "Good"}`)]);
  await page.locator(".notice", { hasText: "Imported 1 conversation · Cannot import bad.txt" }).waitFor();
  await rows(page).filter({ hasText: "Good" }).waitFor();
});

test("an answer continues while another conversation is shown", async (t) => {
  const long = { write: `</think>\n\n${"more ".repeat(60)}end`, rate: 40 };
  const { page } = await visit(t, { answers: { Long: long } });
  await ask(page, "Long");
  await lastAnswer(page).getByText("more more").waitFor();
  await button(page, "New conversation").click();
  await ask(page, "Short");
  await lastAnswer(page).getByText("You wrote: Short").waitFor();
  await button(page, "Long").first().click();
  await lastAnswer(page).getByText("end").waitFor();
  await idle(page);
});
