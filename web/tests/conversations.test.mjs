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
    await page.getByLabel("Search conversations").fill("WROTE: ships");
    await rows(page).filter({ hasText: "Ships" }).waitFor();
    assert.equal(await rows(page).count(), 1, "the text of an answer is found");
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

test("an answer continues while another conversation is shown, and is not read aloud there", async (t) => {
  const long = { write: `</think>\n\n${"More. ".repeat(300)}end`, rate: 40 };
  const { page } = await visit(t, { answers: { Long: long } });
  await ask(page, "Long");
  await lastAnswer(page).getByText("More. More.").waitFor();
  await button(page, "New conversation").click();
  await ask(page, "Short");
  await lastAnswer(page).getByText("You wrote: Short").waitFor();
  const busy = rows(page).filter({ hasText: "Long" }).getByRole("img", { name: "answer in progress" });
  await busy.waitFor();
  await busy.waitFor({ state: "detached" });
  assert.equal(await page.locator("[aria-live=polite] p").last().innerText(), "Short");
  await button(page, "Long").first().click();
  await lastAnswer(page).getByText("end").waitFor();
  await idle(page);
});

/** Holds the next request to such an address. `asked` resolves with it, and `go` lets it through. */
async function held(page, pattern) {
  let go, ask;
  const released = new Promise((resolve) => (go = resolve));
  const asked = new Promise((resolve) => (ask = resolve));
  const handle = async (route) => {
    ask(route.request());
    await released;
    await route.continue();
  };
  await page.route(pattern, handle, { times: 1 });
  return { asked, go };
}

test("a search that is replaced is ended, and its failure is not shown", async (t) => {
  const { page } = await visit(t, await kept(t));
  await answered(page, "Apples and pears");
  await answered(page, "Ships");
  const first = "**/api/conversations?search=apples";
  const { asked } = await held(page, first);
  const ended = page.waitForEvent("requestfailed", (request) => request.url().endsWith("search=apples"));
  await page.getByLabel("Search conversations").fill("apples");
  await asked;
  await page.getByLabel("Search conversations").fill("wrote: ships");
  await ended;
  await rows(page).filter({ hasText: "Apples and pears" }).waitFor();
  assert.equal(await page.locator(".notice").count(), 0);
});

test("a message that is sent while the conversation is read again is not lost", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args });
  await answered(page, "mine");
  const [name] = await readdir(folder);
  const text = await readFile(join(folder, name), "utf8");
  await writeFile(join(folder, name), text + '{"parent": 1, "role": "user", "content": "theirs"}\n');
  const { asked, go } = await held(page, "**/api/conversations/*");
  await comeBack(page);
  await asked;
  await ask(page, "mine again");
  await lastAnswer(page).getByText("You wrote: mine again").waitFor();
  go();
  await idle(page);
  await lastAnswer(page).getByText("You wrote: mine again").waitFor();
  const contents = (await lines(folder)).map(({ content }) => content);
  assert.ok(contents.includes("theirs") && contents.includes("mine again"));
});

test("a title and a system prompt of another program are taken over", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args });
  await answered(page, "mine");
  const [name] = await readdir(folder);
  const [head, user, assistant] = await lines(folder);
  const theirs = [{ ...head, title: "Theirs", current: 2 }, { parent: null, role: "system", content: "Be brief." }];
  const changed = [...theirs, { ...user, parent: 0 }, { ...assistant, parent: 1 }];
  await writeFile(join(folder, name), changed.map((line) => JSON.stringify(line)).join("\n"));
  await answered(page, "mine again");
  const [saved, ...messages] = await lines(folder);
  assert.equal(saved.title, "Theirs");
  assert.deepEqual(messages.map(({ role }) => role), ["system", "user", "assistant", "user", "assistant"]);
});

test("a conversation that is deleted while it is answered stays deleted", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args, answers: { Long: { write: `</think>\n\n${"more ".repeat(600)}`, rate: 40 } } });
  await ask(page, "Long");
  await lastAnswer(page).getByText("more more").waitFor();
  await act(page, "Long", "Delete");
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await rows(page).first().waitFor({ state: "detached" });
  await answered(page, "Next");
  assert.deepEqual((await readdir(folder)).map((name) => name.slice(0, 5)), ["next-"]);
  assert.equal(await rows(page).count(), 1);
});

test("a conversation that was not saved stays, says so, and is saved later", async (t) => {
  const { folder, args } = await kept(t);
  const { page } = await visit(t, { args });
  await page.route("**/api/conversations/*", (route) => route.fulfill({ status: 500, json: { error: { message: "disk full" } } }));
  await answered(page, "First");
  const alert = page.getByRole("alert");
  await alert.getByText("disk full").waitFor();
  await page.unroute("**/api/conversations/*");
  await button(page, "New conversation").click();
  await alert.waitFor({ state: "detached" });
  await answered(page, "Second");
  assert.equal((await readdir(folder)).length, 1);
  await button(page, "First").first().click();
  await alert.getByText("disk full").waitFor();
  await comeBack(page);
  await alert.waitFor({ state: "detached" });
  assert.equal((await readdir(folder)).length, 2);
});

test("conversations that cannot be read at first are read later", async (t) => {
  const { folder, args } = await kept(t);
  await writeFile(join(folder, "old.jsonl"), '{"ggrun_session": 2, "model": "m"}\n{"role": "user", "content": "Old"}\n');
  const { page } = await visit(t, { args });
  await page.route("**/api/conversations", (route) => route.fulfill({ status: 500, json: { error: { message: "no folder" } } }));
  await page.reload();
  await page.getByRole("alert").getByText("The conversations cannot be read").waitFor();
  await page.unroute("**/api/conversations");
  await comeBack(page);
  await page.getByRole("alert").waitFor({ state: "detached" });
  await rows(page).filter({ hasText: "old" }).waitFor();
});

test("the conversation that was chosen last is shown", async (t) => {
  const { page } = await visit(t, await kept(t));
  for (const text of ["Slow", "Fast"]) {
    await button(page, "New conversation").click();
    await answered(page, text);
  }
  // Only the one that is shown was read then.
  await page.reload();
  await lastAnswer(page).getByText("You wrote: Fast").waitFor();
  const { asked, go } = await held(page, "**/api/conversations/slow-*");
  await button(page, "Slow").first().click();
  const request = await asked;
  await button(page, "Fast").first().click();
  await lastAnswer(page).getByText("You wrote: Fast").waitFor();
  go();
  await (await request.response()).finished();
  // What was read is taken in a later task.
  await page.waitForTimeout(100);
  await lastAnswer(page).getByText("You wrote: Fast").waitFor();
});
