// The conversations: their list, the one that is shown, and how they are saved.
import { isEmpty, parse, read, textOf, toLlamaUi, write } from "./format.js";
import { defaults } from "./preferences.js";
import { model, watch } from "./server.js";
import { findStore } from "./store.js";
import { Tree, isObject, merged } from "./tree.js";
import { signal } from "./ui.js";

const TITLE_LENGTH = 60;

export const list = signal([]);
export const current = signal(null);
// Whether other devices see the conversations; null until it is known.
export const isShared = signal(null);
// Why the conversations cannot be read, or null.
export const failure = signal(null);

let store = null;
// Conversations that are open, being answered or not saved, by name.
export const opened = new Map();
// Counts what was chosen to be shown, so that an older choice does not replace a newer one.
let openings = 0;

class Conversation {
  name = null;
  title = null;
  model = "";
  page = {};
  more = {};
  tree = new Tree();
  // The tag of what was last saved or read, when that was, and its head.
  tag = null;
  modified = null;
  base = null;
  // Counts changes, so that views follow them.
  changes = signal(0);
  // The answer that is being written, and why the last one failed.
  answer = signal(null);
  problem = signal(null);
  // Why it was not saved, or null.
  failure = signal(null);
  isUnsaved = false;
  isRemoved = false;
  #saving = Promise.resolve();
  #waiting = false;

  constructor(fields = {}) {
    Object.assign(this, fields);
    this.base = headOf(this);
  }

  get settings() {
    const { settings } = this.page;
    return isObject(settings) ? settings : {};
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
    if (!live || !isEmpty(live.message)) return this;
    return { ...this, tree: { nodes: nodes.filter((node) => node !== live), current: current === live ? live.parent : current } };
  }

  // Saves what has changed, after what is being saved.
  save() {
    this.isUnsaved = true;
    this.changed();
    if (this.#waiting || this.isRemoved) return this.#saving;
    this.#waiting = true;
    identify(this);
    opened.set(this.name, this);
    this.#saving = this.#saving.then(async () => {
      this.#waiting = false;
      try {
        await put(this);
        this.failure.value = null;
        this.isUnsaved = this.#waiting;
      } catch (error) {
        this.failure.value = error;
        show(list.value);
        if (!error.status) watch();
      }
      this.changed();
    });
    return this.#saving;
  }

  // Takes over what another program has changed; what was changed here stays.
  merge(text, tag) {
    const theirs = parse(text);
    const base = headOf(theirs);
    const { system, ...head } = merged(this.base, headOf(this), base);
    // Both begin with the same message then.
    for (const tree of [this.tree, theirs.tree]) tree.setSystem(system);
    this.tree.merge(theirs.tree, !this.isUnsaved);
    Object.assign(this, head, { tag, base });
    this.changed();
  }
}

const headOf = ({ title, model, page, more, tree }) => ({ title, model, page, more, system: textOf(tree.system()?.message.content) });

export async function start() {
  try {
    store = await findStore();
    isShared.value = store.isShared;
    await refresh();
  } catch (error) {
    failure.value = error;
    throw error;
  }
}

// Shows these in the list, and those that could not be saved.
function show(rows) {
  const isMissing = ({ name, failure }) => failure.value && rows.every((row) => row.name !== name);
  list.value = [...[...opened.values()].filter(isMissing).map(rowOf), ...rows];
}

const rowOf = ({ name, title, model }) => ({ name, title, model, modified: Date.now() / 1000 });

// Reads the list, and the conversation that is shown if another program has changed it.
export async function refresh() {
  if (!store) return start();
  show(await store.list());
  failure.value = null;
  const shown = current.value;
  const listed = list.value.find((one) => one.name === shown?.name);
  if (!listed || !shown.tag || shown.answer.value || listed.modified === shown.modified) return;
  const before = shown.tag;
  const { text, tag } = await store.get(shown.name);
  // What was saved meanwhile has taken it over.
  if (shown.tag !== before) return;
  if (tag !== before) shown.merge(text, tag);
  shown.modified = listed.modified;
}

// Saves what could not be saved, and reads what has changed.
export async function recover() {
  await Promise.all([...opened.values()].filter((one) => one.failure.value).map((one) => one.save()));
  await refresh();
}

// The conversations whose messages contain a text: `{names, isComplete}`, with a set of names. A search that is aborted may fail.
export const search = async (text, abort) => store?.search(text, abort) ?? { names: new Set(), isComplete: true };

export function begin() {
  openings++;
  current.value = new Conversation({ model: model.value?.id ?? "" });
  const { system, ...settings } = defaults.value;
  if (system) current.value.tree.setSystem(system);
  current.value.settings = settings;
}

// Shows a conversation, unless another is chosen before it was read; without a name, a new one.
export async function open(name) {
  const opening = ++openings;
  if (current.value?.name === name) return;
  if (!name) return begin();
  try {
    if (!store) await start();
    const found = await loaded(name);
    if (opening !== openings) return;
    opened.set(name, found);
    current.value = found;
  } catch (error) {
    if (opening === openings) throw error;
    return;
  }
  for (const [other, { answer, isUnsaved }] of opened) if (other !== name && !answer.value && !isUnsaved) opened.delete(other);
  await refresh().catch(() => {});
}

function identify(conversation) {
  conversation.title ??= titleOf(conversation.tree);
  conversation.name ??= newName(conversation.title);
  return conversation;
}

async function put(conversation) {
  if (!store) await start();
  if (conversation.isRemoved) return;
  const { name, tag: before } = conversation;
  const base = headOf(conversation);
  try {
    const tag = await store.put(name, write(conversation.snapshot()), before);
    Object.assign(conversation, { tag, base, modified: null });
  } catch (error) {
    const hasChanged = error.status === 412 || (error.status === 404 && before);
    if (!hasChanged) throw error;
    if (before) await mergeStored(conversation);
    else renew(conversation);
    return put(conversation);
  }
  show([rowOf(conversation), ...list.value.filter((one) => one.name !== name)]);
}

// Another name, as another conversation has it.
function renew(conversation) {
  const isOpen = opened.delete(conversation.name);
  conversation.name = newName(conversation.title);
  if (isOpen) opened.set(conversation.name, conversation);
}

async function mergeStored(conversation) {
  try {
    const { text, tag } = await store.get(conversation.name);
    conversation.merge(text, tag);
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

function newName(title) {
  const words = title.toLowerCase().normalize("NFKD").match(/[a-z0-9]+/g) ?? [];
  const random = crypto.getRandomValues(new Uint32Array(1))[0].toString(36).slice(0, 5);
  return [...words.slice(0, 6).map((word) => word.slice(0, 20)), random].join("-");
}

export async function rename(name, title) {
  const conversation = await loaded(name);
  conversation.title = title || null;
  await conversation.save();
  if (conversation.failure.value) throw conversation.failure.value;
}

export async function remove(name) {
  const conversation = opened.get(name);
  try {
    // From now on nothing is saved.
    if (conversation) await Object.assign(conversation, { isRemoved: true }).save();
    await store.remove(name);
  } catch (error) {
    // One that was never saved is not there.
    if (error.status !== 404) {
      if (conversation) Object.assign(conversation, { isRemoved: false }).save();
      throw error;
    }
  }
  conversation?.answer.value?.stop();
  opened.delete(name);
  if (current.value?.name === name) begin();
  await refresh();
}

// An open conversation, or one that is read for this.
async function loaded(name) {
  if (opened.has(name)) return opened.get(name);
  const { text, tag } = await store.get(name);
  const modified = list.value.find((one) => one.name === name)?.modified ?? null;
  return opened.get(name) ?? new Conversation({ name, ...parse(text), tag, modified });
}

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
  for (const fields of all) await put(identify(new Conversation(fields)));
  return all.length;
}
