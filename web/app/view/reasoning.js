// The reasoning before an answer, folded.
import { notify } from "../dialogs.js";
import { isReasoningOpen } from "../preferences.js";
import { t } from "../texts.js";
import { html, useState } from "../ui.js";
import { Icon } from "./icons.js";
import { Markdown } from "./markdown.js";

export function Reasoning({ message, running }) {
  const [isOpen, setOpen] = useState(isReasoningOpen.value);
  const isNow = running?.phase.value === "reasoning";
  const ms = message.page?.reasoning_ms;
  const title = isNow ? t.reasoningNow : ms === undefined ? t.reasoning : t.reasoned(ms);
  const end = () => running.endReasoning().catch((error) => notify(`${t.answerNowFailed}: ${error.message}`, true));
  return html`<div class="reasoning ${isNow ? "now" : ""}">
    <div class="reasoning-head">
      <button type="button" class="fold" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
        <${Icon} name="fold" /><span>${title}</span>
      </button>
      ${isNow && html`<button type="button" class="small" onClick=${end}>${t.answerNow}</button>`}
    </div>
    ${isOpen && html`<div class="reasoning-text"><${Markdown} text=${message.reasoning_content} isLive=${isNow} /></div>`}
  </div>`;
}
