// Begins.
import { current, recover, start } from "./conversations.js";
import { follow, followAgain } from "./route.js";
import { isReady, watch } from "./server.js";
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
const again = () => recover().then(followAgain, () => {});
// What another tab, the terminal or another server has changed.
addEventListener("focus", () => {
  watch();
  again();
});
await start().catch(() => {});
await follow();
isReady.subscribe((ready) => ready && again());
