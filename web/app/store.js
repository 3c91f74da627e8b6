// Where conversations are kept: on the server, or in this browser where the server does not keep them.
import { ApiError, getJson, request } from "./api.js";
import { parse, textOf } from "./format.js";
import { t } from "./texts.js";

const PATH = "api/conversations";

// Characters of conversations that a search in the browser reads.
const MOST_SEARCHED = 64 << 20;

// A store has `list()`, `search(text, abort)`, which returns `{names, isComplete}` with a set of names, `get(name)`,
// `put(name, text, tag)`, which returns the new tag, and `remove(name)`. Texts are JSON lines. Without a tag, `put` is for a
// new conversation; a conversation that has changed is an ApiError of status 412.
export async function findStore() {
  try {
    await getJson(PATH);
    return onServer;
  } catch (error) {
    if (error.status === 501) return inBrowser;
    throw error;
  }
}

const pathOf = (name) => `${PATH}/${encodeURIComponent(name)}`;

const onServer = {
  isShared: true,

  async list() {
    return (await getJson(PATH)).data;
  },

  async search(text, abort) {
    const { data, is_complete: isComplete } = await getJson(`${PATH}?search=${encodeURIComponent(text)}`, { abort });
    return { names: new Set(data.map(({ name }) => name)), isComplete };
  },

  async get(name) {
    const response = await request(pathOf(name));
    return { text: await response.text(), tag: response.headers.get("etag") };
  },

  async put(name, text, tag) {
    const condition = tag ? { "if-match": tag } : { "if-none-match": "*" };
    const headers = { "content-type": "application/jsonl", ...condition };
    const response = await request(pathOf(name), { method: "PUT", headers, body: text });
    return response.headers.get("etag");
  },

  async remove(name) {
    await request(pathOf(name), { method: "DELETE" });
  },
};

const inBrowser = {
  isShared: false,

  async list() {
    const all = await transaction("readonly", (table) => table.getAll());
    const row = ({ name, text, modified }) => {
      const { title = null, model } = JSON.parse(text.slice(0, text.indexOf("\n")));
      return { name, title, model, modified };
    };
    return all.map(row).sort((a, b) => b.modified - a.modified);
  },

  async search(text) {
    const all = await transaction("readonly", (table) => table.getAll());
    const wanted = text.toLowerCase();
    let [left, isComplete] = [MOST_SEARCHED, true];
    const contains = (one) => {
      if (one.text.length <= left) {
        left -= one.text.length;
        try {
          return mentions(one.text, wanted);
        } catch {
          // It cannot be read.
        }
      }
      return (isComplete = false);
    };
    const found = all.sort((a, b) => b.modified - a.modified).filter(contains);
    return { names: new Set(found.map(({ name }) => name)), isComplete };
  },

  async get(name) {
    const found = await transaction("readonly", (table) => table.get(name));
    if (!found) throw new ApiError({ status: 404, code: "not_found", message: t.notFound(name) });
    return { text: found.text, tag: found.tag };
  },

  async put(name, text, tag) {
    const next = crypto.randomUUID();
    await transaction("readwrite", (table, abort) => {
      const reading = table.get(name);
      reading.onsuccess = () => {
        if ((reading.result?.tag ?? null) !== (tag ?? null)) abort();
        else table.put({ name, text, tag: next, modified: Date.now() / 1000 });
      };
      return reading;
    });
    return next;
  },

  async remove(name) {
    await transaction("readwrite", (table) => table.delete(name));
  },
};

// Whether a message in JSON lines contains a text.
function mentions(lines, text) {
  return parse(lines).tree.nodes.some(({ message }) => textOf(message.content).toLowerCase().includes(text));
}

let database = null;

function openDatabase() {
  database ??= new Promise((resolve, reject) => {
    const opening = indexedDB.open("ggrun", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("conversations", { keyPath: "name" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  return database;
}

// Runs an action on the table, and resolves with the result of its request once everything is stored.
async function transaction(mode, action) {
  const opened = await openDatabase();
  return new Promise((resolve, reject) => {
    const running = opened.transaction("conversations", mode);
    let changed = false;
    const abort = () => {
      changed = true;
      running.abort();
    };
    const acting = action(running.objectStore("conversations"), abort);
    running.oncomplete = () => resolve(acting.result);
    running.onabort = () =>
      reject(changed ? new ApiError({ status: 412, code: "precondition_failed" }) : running.error);
  });
}
