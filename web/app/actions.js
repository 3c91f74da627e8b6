// What the user does with a conversation.
import { answer } from "./answer.js";
import { speak } from "./announcer.js";
import { copy } from "./clipboard.js";
import { current } from "./conversations.js";
import { confirm, notify } from "./dialogs.js";
import { textOf } from "./format.js";
import { t } from "./texts.js";

const now = () => Math.round(Date.now() / 1000);

export function send(conversation, content) {
  const page = { created: now() };
  const parent = conversation.tree.append(conversation.tree.current, { role: "user", content, page });
  return answer(conversation, parent);
}

// Sends another version of a message, beside the old one.
export function resend(conversation, node, content) {
  const parent = conversation.tree.append(node.parent, { ...node.message, content, page: { created: now() } });
  return answer(conversation, parent);
}

// Keeps an answer that the user has changed, beside the old one.
export function saveEdited(conversation, node, content) {
  const { finish: _, ...page } = node.message.page ?? {};
  conversation.tree.append(node.parent, { ...node.message, content, page: { ...page, edited: true } });
  conversation.save();
}

export const regenerate = (conversation, node) => answer(conversation, node.parent);

export function sendResults(conversation, node, results) {
  let parent = node;
  for (const [at, { id, function: called }] of node.message.tool_calls.entries()) {
    const message = { role: "tool", content: results[at], ...(id && { tool_call_id: id }), name: called.name };
    parent = conversation.tree.append(parent, message);
  }
  return answer(conversation, parent);
}

export function step(conversation, node, by) {
  const siblings = conversation.tree.children(node.parent);
  const other = siblings[siblings.indexOf(node) + by];
  if (!other) return;
  conversation.tree.select(other);
  conversation.save();
  speak(t.alternative(siblings.indexOf(other) + 1, siblings.length));
}

export function deleteMessage(conversation, node) {
  const after = conversation.tree.below(node).size - 1;
  confirm(t.deleteMessageTitle, t.deleteMessageText(after), t.delete, () => {
    conversation.tree.remove(node);
    conversation.problem.value = null;
    conversation.save();
  });
}

export async function copyMessage(node) {
  const copied = await copy(textOf(node.message.content));
  notify(copied ? t.copied : t.notCopied, !copied);
}

// The last message of this role in the branch that is shown.
export const lastOf = (role) => current.value?.tree.branch().findLast((node) => node.message.role === role) ?? null;
