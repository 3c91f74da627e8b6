// The files of conversations: JSON lines as `ggrun chat --session` has them, and the JSON of llama.cpp's page.
import { t } from "./texts.js";
import { Tree, isObject } from "./tree.js";

const VERSION = 2;

// A conversation from JSON lines: `{model, title, page, more, tree}`. `page` is what only this page reads.
export function parse(text) {
  const lines = text.split("\n").map((line, at) => [line, at + 1]).filter(([line]) => line.trim());
  const head = json(lines.shift()?.[0] ?? "");
  if (!(head?.ggrun_session >= 1 && head.ggrun_session <= VERSION)) throw new SyntaxError(t.notConversation);
  const { ggrun_session: version, model, title, current, page, ...more } = head;
  const tree = new Tree();
  const at = (place) => (Number.isInteger(place) ? (tree.nodes[place] ?? null) : null);
  for (const [line, number] of lines) {
    const { parent, ...message } = json(line) ?? {};
    if (!isMessage(message)) throw new SyntaxError(t.notMessage(number));
    tree.add(version === 1 || parent === undefined ? (tree.nodes.at(-1) ?? null) : at(parent), message);
  }
  tree.select(at(current) ?? tree.nodes.at(-1) ?? null);
  tree.current = at(current) ?? tree.current;
  const string = (value) => (typeof value === "string" ? value : "");
  return { model: string(model), title: string(title) || null, page: isObject(page) ? page : {}, more, tree };
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Whether a message has what the page reads of it; files are untrusted.
function isMessage({ role, content, reasoning_content: reasoning, tool_calls: calls }) {
  const isCall = (call) => typeof call?.function?.name === "string";
  return (
    typeof role === "string" &&
    (typeof (content ?? "") === "string" || Array.isArray(content)) &&
    typeof (reasoning ?? "") === "string" &&
    (!calls || (Array.isArray(calls) && calls.every(isCall)))
  );
}

export function write({ model, title, page, more, tree }) {
  const places = new Map(tree.nodes.map((node, at) => [node, at]));
  const head = {
    ggrun_session: VERSION,
    model,
    ...(title && { title }),
    ...(tree.current && { current: places.get(tree.current) }),
    ...more,
    ...(Object.keys(page).length && { page }),
  };
  const line = ({ parent, message }) => ({ parent: parent ? places.get(parent) : null, ...message });
  return [head, ...tree.nodes.map(line)].map((value) => JSON.stringify(value) + "\n").join("");
}

// The conversations in a file: JSON lines, or the JSON of llama.cpp's page.
export function read(text) {
  const found = json(text);
  if (!found || found.ggrun_session) return [parse(text)];
  try {
    const all = [found].flat().map(fromLlamaUi);
    if (all.length) return all;
  } catch {
    // Its fields are not what they must be.
  }
  throw new SyntaxError(t.notConversation);
}

function fromLlamaUi({ conv, messages }) {
  const tree = new Tree();
  const nodes = new Map();
  const byTime = [...messages].sort((a, b) => (a.timestamp ?? 0) - (b.timestamp ?? 0));
  const ids = new Set(byTime.map((one) => one.id));
  const children = new Map();
  const queue = [];
  for (const one of byTime) {
    const isFirst = !ids.has(one.parent) || one.parent === one.id;
    if (!isFirst && !children.has(one.parent)) children.set(one.parent, []);
    (isFirst ? queue : children.get(one.parent)).push(one);
  }
  // Parents before children, whatever the times say.
  for (const one of queue) {
    const parent = nodes.get(one.parent) ?? null;
    const isRoot = one.type === "root" || (one.role === "system" && !one.content);
    nodes.set(one.id, isRoot ? parent : tree.add(parent, messageFromLlamaUi(one)));
    for (const child of children.get(one.id) ?? []) queue.push(child);
    children.delete(one.id);
  }
  tree.select(nodes.get(conv.currNode) ?? nodes.get(byTime.at(-1)?.id) ?? tree.nodes.at(-1) ?? null);
  return { model: String(byTime.findLast((one) => one.model)?.model ?? ""), title: conv.name ? String(conv.name) : null, page: {}, more: {}, tree };
}

function messageFromLlamaUi(one) {
  const attached = (one.extra ?? []).filter((extra) => typeof extra.content === "string");
  const files = attached.map((extra) => `\n\n${extra.name ?? ""}\n\n\`\`\`\n${extra.content}\n\`\`\``);
  const message = { role: one.role, content: (one.content ?? "") + files.join("") };
  const reasoning = one.reasoningContent || one.thinking;
  if (reasoning) message.reasoning_content = reasoning;
  if (one.toolCalls) message.tool_calls = calls(one.toolCalls);
  if (one.toolCallId) message.tool_call_id = one.toolCallId;
  if (!isMessage(message)) throw new SyntaxError();
  return message;
}

function calls(text) {
  const list = typeof text === "string" ? JSON.parse(text) : text;
  return list.map(({ id, function: { name, arguments: given } }) => ({
    ...(id && { id }),
    type: "function",
    function: { name, arguments: typeof given === "string" ? given : JSON.stringify(given ?? {}) },
  }));
}

// A conversation as llama.cpp's page imports it.
export function toLlamaUi({ name, title, modified, tree }) {
  const time = (modified ?? Date.now() / 1000) * 1000;
  const root = `${name}-root`;
  const id = new Map(tree.nodes.map((node, at) => [node, `${name}-${at}`]));
  const children = (parent) => tree.children(parent).map((node) => id.get(node));
  const messages = tree.nodes.map((node, at) => {
    const { role, content, reasoning_content, tool_calls, tool_call_id } = node.message;
    return {
      id: id.get(node),
      convId: name,
      type: role === "system" ? "system" : "text",
      timestamp: time + at,
      role,
      content: textOf(content),
      parent: node.parent ? id.get(node.parent) : root,
      children: children(node),
      ...(reasoning_content && { reasoningContent: reasoning_content }),
      ...(tool_calls?.length && { toolCalls: JSON.stringify(tool_calls) }),
      ...(tool_call_id && { toolCallId: tool_call_id }),
    };
  });
  const first = { id: root, convId: name, type: "root", timestamp: time - 1, role: "system", content: "", parent: null };
  const conv = { id: name, name: title ?? name, lastModified: time, currNode: id.get(tree.current) ?? root };
  return { conv, messages: [{ ...first, children: children(null) }, ...messages] };
}

// The text of a message's content, which may be a list of parts.
export function textOf(content) {
  if (Array.isArray(content)) return content.map((part) => part?.text ?? "").join("\n");
  return content ?? "";
}

export const isEmpty = ({ content, reasoning_content: reasoning, tool_calls: calls }) =>
  !textOf(content) && !reasoning && !calls?.length;
