// Calls of tools by the model, with an input for each result.
import { sendResults } from "../actions.js";
import { t } from "../texts.js";
import { html, useState } from "../ui.js";
import { Icon } from "./icons.js";

export function ToolCalls({ conversation, node, isLast }) {
  const live = conversation.answer.value;
  if (live?.node === node) void live.frame.value;
  const calls = node.message.tool_calls;
  const [results, setResults] = useState(calls.map(() => ""));
  const isAsking = isLast && !live;
  const set = (at) => (event) => setResults(calls.map((_, other) => (other === at ? event.target.value : (results[other] ?? ""))));
  const submit = (event) => {
    event.preventDefault();
    sendResults(conversation, node, calls.map((_, at) => results[at] ?? ""));
  };
  return html`<form class="calls" onSubmit=${submit}>
    ${calls.map(
      ({ id, function: { name, arguments: given } }, at) => html`<section class="call" aria-label="${t.toolCall} ${name}">
        <header><${Icon} name="tool" /><span class="muted">${t.toolCall}</span><code>${name}</code></header>
        <pre tabindex="0">${indented(given)}</pre>
        ${isAsking &&
        html`<label>
          <span>${t.toolResult(name)}</span>
          <textarea rows="3" placeholder=${t.toolResultPlaceholder} value=${results[at] ?? ""} onInput=${set(at)} data-call=${id}></textarea>
        </label>`}
      </section>`,
    )}
    ${isAsking && html`<button class="primary">${t.sendResults}</button>`}
  </form>`;
}

function indented(given) {
  try {
    return JSON.stringify(typeof given === "string" ? JSON.parse(given) : given, null, 2);
  } catch {
    return given;
  }
}
