// The reasoning before an answer, folded.
import { notify } from "../dialogs.js";
import { isReasoningOpen } from "../preferences.js";
import { t } from "../texts.js";
import { html, useState } from "../ui.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";

export function Reasoning({ text, ms, running }) {
  const [isOpen, setOpen] = useState(isReasoningOpen.value);
  const isNow = running?.phase.value === "reasoning";
  const title = isNow ? t.reasoningNow : ms === undefined ? t.reasoning : t.reasoned(ms);
  const end = () => running.endReasoning().catch((error) => notify(`${t.answerNowFailed}: ${error.message}`, true));
  return html`<div class="reasoning ${isNow ? "now" : ""}">
    <div class="reasoning-head">
      <button type="button" class="fold" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
        <${Icon} name="fold" /><span>${title}</span>
      </button>
      ${isNow && html`<button type="button" class="small" onClick=${end}>${t.answerNow}</button>`}
    </div>
    ${isOpen && html`<div class="reasoning-text"><${Markdown} text=${text} isLive=${isNow} /></div>`}
  </div>`;
}
