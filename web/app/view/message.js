// One message, with what can be done with it.
import { answer, resume } from "../answer.js";
import { copyMessage, deleteMessage, regenerate, resend, saveEdited, step } from "../actions.js";
import { isEmpty, textOf } from "../format.js";
import { t } from "../texts.js";
import { html, useLayoutEffect, useRef, useState } from "../ui.js";
import { IconButton } from "./icons.js";
import { Markdown } from "./markdown.js";
import { Reasoning } from "./reasoning.js";
import { ToolCalls } from "./tool_calls.js";
import { Figures } from "./figures.js";

// Characters of a text that may scroll, so that keys must reach it.
const LONG = 500;
const NAMES = { user: t.you, assistant: t.model, system: t.system, developer: t.system };

// `editing` is the message that is being edited, and `setEditing` changes that.
export function Message({ conversation, node, isLast, editing, setEditing }) {
  // A component that reads signals is drawn again only if they or its properties change.
  void conversation.changes.value;
  const { message } = node;
  const live = conversation.answer.value;
  const running = live?.node === node ? live : null;
  void running?.frame.value;
  const name = NAMES[message.role] ?? t.toolResult(message.name ?? "");
  const body = editing
    ? html`<${Editor} conversation=${conversation} node=${node} close=${() => setEditing(null)} />`
    : html`<${Body} conversation=${conversation} node=${node} running=${running} isLast=${isLast} />`;
  return html`<article class="message ${message.role}" aria-label=${name} aria-busy=${Boolean(running)}>
    ${message.role !== "user" && message.role !== "assistant" && html`<h3 class="author">${name}</h3>`}
    ${body}
    ${!editing && !running && html`<${Foot} ...${{ conversation, node, isLast, setEditing }} />`}
  </article>`;
}

function Body({ conversation, node, running, isLast }) {
  const { message } = node;
  const { role, reasoning_content: reasoning, tool_calls: calls } = message;
  const text = textOf(message.content);
  if (role === "tool") return html`<pre class="result" tabindex="0">${text}</pre>`;
  if (role !== "assistant") return html`<div class="said" tabindex=${text.length > LONG ? 0 : null}>${text}</div>`;
  return html`
    ${reasoning && html`<${Reasoning} text=${reasoning} ms=${message.page?.reasoning_ms} running=${running} />`}
    ${text && html`<${Markdown} text=${text} isLive=${Boolean(running)} />`}
    ${!running && isEmpty(message) && html`<p class="muted">${t.empty}</p>`}
    ${calls?.length > 0 && html`<${ToolCalls} ...${{ conversation, node, isLast }} />`}
  `;
}

function Foot({ conversation, node, isLast, setEditing }) {
  void conversation.changes.value;
  const { message } = node;
  const isAnswer = message.role === "assistant";
  const isBusy = Boolean(conversation.answer.value);
  const finish = t.finish[message.page?.finish];
  const canContinue = isAnswer && isLast && !message.tool_calls?.length;
  const isUnanswered = isLast && ["user", "tool"].includes(message.role);
  const action = (icon, label, act) => html`<${IconButton} icon=${icon} label=${label} disabled=${isBusy} onClick=${act} />`;
  return html`<footer>
    ${isAnswer && finish && html`<p class="finish">${finish}</p>`}
    <div class="actions">
      <${Alternatives} conversation=${conversation} node=${node} disabled=${isBusy} />
      <${IconButton} icon="copy" label=${t.copyMessage} onClick=${() => copyMessage(node)} />
      ${message.role !== "tool" && action("edit", t.edit, () => setEditing(node))}
      ${isUnanswered && action("redo", t.answer, () => answer(conversation, node))}
      ${isAnswer && action("redo", t.regenerate, () => regenerate(conversation, node))}
      ${canContinue && action("continue", t.continue, () => resume(conversation, node))}
      ${action("trash", t.deleteMessage, () => deleteMessage(conversation, node))}
      ${isAnswer && html`<${Figures} page=${message.page} />`}
    </div>
  </footer>`;
}

function Alternatives({ conversation, node, disabled }) {
  const siblings = conversation.tree.children(node.parent);
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(node);
  const to = (by) => () => step(conversation, node, by);
  return html`<span class="alternatives" role="group" aria-label=${t.alternative(at + 1, siblings.length)}>
    <${IconButton} icon="left" label=${t.previous} disabled=${disabled || at === 0} onClick=${to(-1)} />
    <span aria-hidden="true">${at + 1}/${siblings.length}</span>
    <${IconButton} icon="right" label=${t.next} disabled=${disabled || at === siblings.length - 1} onClick=${to(1)} />
  </span>`;
}

function Editor({ conversation, node, close }) {
  const isUser = node.message.role === "user";
  const [text, setText] = useState(textOf(node.message.content));
  const area = useRef(null);
  const canSubmit = text.trim() !== "" && !conversation.answer.value;
  useLayoutEffect(() => {
    area.current.focus();
    area.current.setSelectionRange(text.length, text.length);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    if (!canSubmit) return;
    close();
    if (node.message.role === "system") {
      conversation.tree.setSystem(text.trim());
      conversation.save();
    } else if (isUser) {
      resend(conversation, node, text);
    } else {
      saveEdited(conversation, node, text);
    }
  };
  const keys = (event) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || (isUser && !event.shiftKey && !event.isComposing))) submit(event);
    else return;
    event.stopPropagation();
  };
  const label = isUser ? t.sendAgain : node.message.role === "system" ? t.save : t.saveAnswer;
  return html`<form class="editor" onSubmit=${submit}>
    <textarea ref=${area} aria-label=${t.editMessage} value=${text} onInput=${(event) => setText(event.target.value)} onKeyDown=${keys}></textarea>
    <div class="row end">
      <button type="button" onClick=${close}>${t.cancel}</button>
      <button class="primary" disabled=${!canSubmit}>${label}</button>
    </div>
  </form>`;
}
