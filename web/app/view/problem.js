// Why an answer failed, and what to do about it.
import { t } from "../texts.js";
import { html } from "../ui.js";
import { Icon } from "./icons.js";
import { Rich } from "./rich.js";

export function Problem({ conversation }) {
  const problem = conversation.problem.value;
  if (!problem) return null;
  const [text, hint] = (t.problems[problem.error.code] ?? t.problems.other)(problem.error);
  const partly = conversation.tree.children(problem.parent).some((node) => node.message.page?.finish === "failed");
  const dismiss = () => (conversation.problem.value = null);
  return html`<div class="problem" role="alert">
    <${Icon} name="warning" />
    <div>
      <strong>${partly ? t.problemPartly : t.problem}</strong>
      <p>${text}</p>
      <p class="muted"><${Rich} text=${hint} /></p>
      <div class="row">
        <button type="button" class="primary" onClick=${problem.retry}>${t.retry}</button>
        <button type="button" onClick=${dismiss}>${t.dismiss}</button>
      </div>
    </div>
  </div>`;
}
