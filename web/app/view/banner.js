// What keeps the server from answering.
import { askAgain } from "../api.js";
import { state, watch } from "../server.js";
import { t } from "../texts.js";
import { html } from "../ui.js";
import { Rich } from "./rich.js";

export function Banner() {
  const { phase, progress, left, message } = state.value;
  if (phase === "ready") return null;
  if (phase === "downloading" || phase === "loading") {
    const rest = [t.percent(progress), left !== null && t.left(left)].filter(Boolean).join(" · ");
    return html`<div class="banner" role="status">
      <div class="row"><strong>${t[phase]}</strong><span class="space"></span><span>${rest}</span></div>
      <progress max="1" value=${progress} aria-label=${t[phase]}></progress>
      <p class="muted">${t.loadingText}</p>
    </div>`;
  }
  const hint = { unreachable: t.unreachableHint, failed: [message, t.failedHint].filter(Boolean).join(". ") }[phase];
  const ask = () => {
    askAgain();
    watch();
  };
  return html`<div class="banner ${phase === "connecting" ? "" : "bad"}" role="status">
    <div class="row">
      <strong>${t[phase]}</strong>
      ${phase === "locked" && html`<button type="button" class="small" onClick=${ask}>${t.enterKey}</button>`}
    </div>
    ${hint && html`<p><${Rich} text=${hint} /></p>`}
  </div>`;
}
