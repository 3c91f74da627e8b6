// Begins.
import { current, refresh, start } from "./conversations.js";
import { follow } from "./route.js";
import { watch } from "./server.js";
import { listen } from "./shortcuts.js";
import { t } from "./texts.js";
import { effect, html, render } from "./ui.js";
import { App } from "./view/app.js";

document.documentElement.lang = t.language;
render(html`<${App} />`, document.getElementById("app"));
effect(() => {
  void current.value?.changes.value;
  const title = current.value?.title;
  document.title = title ? `${title} – ggrun` : "ggrun";
});
listen();
watch();
addEventListener("hashchange", follow);
// What another tab or the terminal has written.
addEventListener("focus", () => refresh().catch(() => {}));
await start();
await follow();
