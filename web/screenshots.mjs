// Pictures of the page, to look at: `node web/screenshots.mjs FOLDER [NAME]`, after `cargo build --example scripted`. NAME
// selects those whose names contain it. The pictures in docs are `answer-1440-light` and `status-1440-dark`, with 256 colors
// (`pngquant --quality 85-100`).

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { serve } from "./tests/harness.mjs";
import { ask, idle } from "./tests/page.mjs";

const [folder, only = ""] = process.argv.slice(2);
const WIDTHS = { 360: 740, 768: 1024, 1440: 900 };

const QUESTION = "How do I sum a column of a CSV file that does not fit in memory? Compare two ways.";
const ANSWER = `The file is larger than memory, so both ways must read it in pieces. I compare pandas with chunks and the csv module, \
and mention the cost of each.</think>

Read it in pieces and keep only the sum. With **pandas**:

\`\`\`python
import pandas as pd

total = 0.0
for chunk in pd.read_csv("orders.csv", usecols=["price"], chunksize=100_000):
    total += chunk["price"].sum()
print(f"{total:.2f}")
\`\`\`

| way | memory | speed | needs |
| --- | --- | --- | --- |
| pandas in chunks | about 20 MB | fast | pandas |
| \`csv.DictReader\` | constant | 5 times slower | nothing |

A running sum of $n$ values has a rounding error of at most $(n - 1)\\,\\varepsilon \\sum |x_i|$; \`math.fsum\` avoids it.
`;
const answers = {
  [QUESTION]: { write: ANSWER, rate: 400 },
  "Write a short story about a lighthouse.": {
    write: `A quiet place, one keeper, one night.</think>\n\n${"The lamp turned, as it had turned every night for ninety years, and the sea below kept its own count. ".repeat(40)}`,
    rate: 30,
  },
  "What is the capital of Kenya?": { write: "Easy.</think>\n\nThe capital of Kenya is **Nairobi**.", rate: 200 },
};

/** What is shown, by name: each scene begins on an empty page. */
const scenes = {
  empty: async (page) => page.locator("#message").waitFor(),
  running: async (page) => {
    await ask(page, "Write a short story about a lighthouse.");
    await page.locator(".prose", { hasText: "sea below" }).waitFor();
    await page.waitForTimeout(1500);
  },
  answer: async (page) => {
    await ask(page, "What is the capital of Kenya?");
    await idle(page);
    await ask(page, QUESTION);
    await page.locator("math").last().waitFor();
    await idle(page);
  },
  settings: async (page) => {
    await page.keyboard.press("Control+.");
    await page.locator("dialog[open]").waitFor();
  },
  status: async (page, url) => {
    await page.keyboard.press("Control+Shift+L");
    await page.locator(".status").waitFor();
    const until = Date.now() + 40_000;
    const client = async (number) => {
      for (let at = 0; Date.now() < until; at++) {
        const content = at % 3 === number % 3 ? QUESTION : "What is the capital of Kenya?";
        const body = JSON.stringify({ messages: [{ role: "user", content }], stream: true });
        await (await fetch(`${url}/v1/chat/completions`, { method: "POST", body })).text();
        await new Promise((resolve) => setTimeout(resolve, 1500 * number));
      }
    };
    await Promise.all([0, 1, 2, 3].map(client));
  },
};

await mkdir(folder, { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, show] of Object.entries(scenes)) {
  for (const [width, height] of Object.entries(WIDTHS)) {
    for (const colorScheme of ["light", "dark"]) {
      const picture = `${name}-${width}-${colorScheme}`;
      if (!picture.includes(only)) continue;
      const server = await serve({ answers, args: ["--alias", "example-8B-thinking"] });
      const context = await browser.newContext({ viewport: { width: Number(width), height }, colorScheme });
      const page = await context.newPage();
      await page.goto(server.url);
      await page.locator("#message, .sidebar").first().waitFor();
      await show(page, server.url);
      await page.screenshot({ path: join(folder, `${picture}.png`) });
      await context.close();
      await server.stop();
    }
  }
}
await browser.close();
