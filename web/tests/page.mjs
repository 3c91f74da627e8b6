// What tests find on the page, and what they do with it.

export const button = (where, name) => where.getByRole("button", { name });
export const composer = (page) => page.locator("form.composer");
export const answers = (page) => page.getByRole("article", { name: "Model" });
export const lastAnswer = (page) => answers(page).last();
export const asked = (page) => page.getByRole("article", { name: "You" });
export const input = (page) => page.getByRole("textbox", { name: "Message", exact: true });
export const importFiles = (page, files) => page.locator("input[type=file][accept]").setInputFiles(files);
export const fileOf = (name, text) => ({ name, mimeType: "text/plain", buffer: Buffer.from(text) });
/** The window is chosen again, after another one. */
export const comeBack = (page) => page.evaluate(() => dispatchEvent(new Event("focus")));

/** The body of the next request for an answer. */
export async function nextRequest(page) {
  const sent = await page.waitForRequest((request) => request.url().endsWith("/chat/completions"));
  return sent.postDataJSON();
}

/** Sends a message, once the server is ready. */
export async function ask(page, text) {
  await input(page).fill(text);
  await page.locator("button[aria-label=Send]:enabled").waitFor();
  await input(page).press("Enter");
}

/** Closes a dialog; until it is gone, it has the focus. */
export async function closeDialog(page) {
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
}

/** Waits until no answer is being written and everything is saved. */
export async function idle(page) {
  await page.locator("button[aria-label=Send]").waitFor();
  await page.evaluate(async () => (await import("/app/conversations.js")).current.value.save());
}

/** Sends a message, and waits until it is answered and saved. */
export async function answered(page, text) {
  await ask(page, text);
  await idle(page);
}
