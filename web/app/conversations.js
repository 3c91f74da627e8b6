// The conversations: their list, the one that is shown, and how they are saved.
import { parse, read, textOf, toLlamaUi, write } from "./format.js";
import { defaults } from "./preferences.js";
import { model } from "./server.js";
import { findStore } from "./store.js";
import { Tree } from "./tree.js";
import { signal } from "./ui.js";

const TITLE_LENGTH = 60;

export const list = signal([]);
export const current = signal(null);
// Whether other devices see the conversations; null until it is known.
export const isShared = signal(null);
export const failure = signal(null);

let store = null;
// Conversations that are open or being answered, by name.
const opened = new Map();

export class Conversation {
  name = null;
  title = null;
  model = "";
  page = {};
  more = {};
  tree = new Tree();
  // The tag of what was last saved or read, and when that was.
  tag = null;
  modified = null;
  // Counts changes, so that views follow them.
  changes = signal(0);
  // The answer that is being written, and why the last one failed.
  answer = signal(null);
  problem = signal(null);
  #saving = Promise.resolve();
  #waiting = false;

  constructor(fields = {}) {
    Object.assign(this, fields);
  }

  get settings() {
    return this.page.settings ?? {};
  }

  set settings(settings) {
    const { settings: _, ...page } = this.page;
    this.page = Object.keys(settings).length ? { ...page, settings } : page;
    this.changed();
  }

  changed() {
    this.changes.value++;
  }

  // What is saved: all but an answer that has no text yet.
  snapshot() {
    const live = this.answer.value?.node;
    const { nodes, current } = this.tree;
    const isEmpty = live && !live.message.content && !live.message.reasoning_content;
    if (!isEmpty) return { ...this, tree: this.tree };
    const tree = { nodes: nodes.filter((node) => node !== live), current: current === live ? live.parent : current };
    return { ...this, tree };
  }

  // Saves what it is then, after what is being saved.
  save() {
    if (this.#waiting) return this.#saving;
    this.#waiting = true;
    this.#saving = this.#saving.then(async () => {
      this.#waiting = false;
      try {
        await put(this);
        failure.value = null;
      } catch (error) {
        failure.value = error;
      }
    });
    return this.#saving;
  }
}

export async function start() {
  try {
    store = await findStore();
    isShared.value = store.isShared;
    await refresh();
  } catch (error) {
    failure.value = error;
  }
}

// Reads the list, and the conversation that is shown if another program has changed it.
export async function refresh() {
  if (!store) return start();
  list.value = await store.list();
  const shown = current.value;
  const listed = list.value.find((one) => one.name === shown?.name);
  if (!listed || shown.answer.value || listed.modified === shown.modified) return;
  const { text, tag } = await store.get(shown.name);
  if (tag !== shown.tag) {
    Object.assign(shown, parse(text), { tag });
    shown.changed();
  }
  shown.modified = listed.modified;
}

export function begin() {
  current.value = new Conversation({ model: model.value?.id ?? "" });
  const { system, ...settings } = defaults.value;
  if (system) current.value.tree.setSystem(system);
  current.value.settings = settings;
}

export async function open(name) {
  if (current.value?.name === name) return;
  if (!opened.has(name)) {
    const { text, tag } = await store.get(name);
    const modified = list.value.find((one) => one.name === name)?.modified ?? null;
    opened.set(name, new Conversation({ name, ...parse(text), tag, modified }));
  }
  const conversation = opened.get(name);
  current.value = conversation;
  for (const [other, { answer }] of opened) if (other !== name && !answer.value) opened.delete(other);
  await refresh();
}

async function put(conversation) {
  if (!store) await start();
  const { name } = conversation;
  conversation.title ??= titleOf(conversation.tree);
  conversation.name ??= newName(conversation.title);
  try {
    conversation.tag = await store.put(conversation.name, write(conversation.snapshot()), conversation.tag);
  } catch (error) {
    const hasChanged = error.status === 412 || (error.status === 404 && conversation.tag);
    if (!hasChanged) {
      conversation.name = name;
      throw error;
    }
    if (conversation.tag) await mergeStored(conversation);
    else conversation.name = null;
    return put(conversation);
  }
  opened.set(conversation.name, conversation);
  list.value = await store.list();
  conversation.modified = list.value.find((one) => one.name === conversation.name)?.modified ?? null;
  conversation.changed();
}

// Takes over what another program has added.
async function mergeStored(conversation) {
  try {
    const { text, tag } = await store.get(conversation.name);
    conversation.tree.merge(parse(text).tree);
    conversation.tag = tag;
    conversation.changed();
  } catch (error) {
    if (error.status !== 404) throw error;
    // It was deleted there, but what is shown is not lost.
    conversation.tag = null;
  }
}

function titleOf(tree) {
  const first = tree.branch().find((node) => node.message.role === "user");
  const line = textOf(first?.message.content).trim().split("\n")[0];
  return line.length > TITLE_LENGTH ? line.slice(0, TITLE_LENGTH).trimEnd() + "…" : line;
}

// A name for the file of a conversation.
function newName(title) {
  const words = title.toLowerCase().normalize("NFKD").match(/[a-z0-9]+/g) ?? [];
  const random = crypto.getRandomValues(new Uint32Array(1))[0].toString(36).slice(0, 5);
  return [...words.slice(0, 6).map((word) => word.slice(0, 20)), random].join("-");
}

export async function rename(name, title) {
  const conversation = await loaded(name);
  conversation.title = title || null;
  conversation.changed();
  await conversation.save();
}

export async function remove(name) {
  await store.remove(name);
  opened.get(name)?.answer.value?.stop();
  opened.delete(name);
  if (current.value?.name === name) begin();
  await refresh();
}

// An open conversation, or one that is read for this.
async function loaded(name) {
  if (opened.has(name)) return opened.get(name);
  const { text, tag } = await store.get(name);
  return new Conversation({ name, ...parse(text), tag });
}

// The file of one conversation: `{name, text}`.
export async function exported(name) {
  return { name: `${name}.jsonl`, text: write(await loaded(name)) };
}

// The file of all conversations, as llama.cpp's page imports it.
export async function exportedAll() {
  const all = [];
  for (const { name, modified } of list.value) all.push(toLlamaUi({ ...(await loaded(name)), name, modified }));
  return { name: "conversations.json", text: JSON.stringify(all, null, 1) };
}

// Adds the conversations of a file, and returns how many there were.
export async function imported(text) {
  const all = read(text);
  for (const fields of all) await put(new Conversation(fields));
  return all.length;
}
