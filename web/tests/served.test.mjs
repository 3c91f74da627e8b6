// What the server sends, as a browser sees it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { POLICY, visit } from "./harness.mjs";

test("the page has its policy and loads little before the first answer", async (t) => {
  const { server, page } = await visit(t);
  const { headers } = await fetch(server.url);
  if (!process.env.GGRUN_PAGE) assert.equal(headers.get("content-security-policy"), POLICY);
  await page.waitForLoadState("networkidle");
  const loaded = await page.evaluate(() =>
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
      .filter(({ initiatorType }) => initiatorType !== "fetch")
      .map(({ name, encodedBodySize }) => ({ name, encodedBodySize })),
  );
  const bytes = loaded.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0);
  if (!process.env.GGRUN_PAGE) assert.ok(bytes <= 75 * 1024, `${bytes} bytes: ${JSON.stringify(loaded)}`);
  for (const later of ["highlight.js", "temml.js"]) {
    assert.ok(!loaded.some(({ name }) => name.endsWith(later)), `${later} is loaded when it is needed`);
  }
});
