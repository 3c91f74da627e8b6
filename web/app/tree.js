// The messages of a conversation as a tree: alternatives have the same parent.

let lastId = 0;

export class Tree {
  // Parents come before their children, as in the file.
  nodes = [];
  // The last message of the branch that is shown.
  current = null;
  // The messages after each one, or null if that is to be found anew.
  #children = null;

  append(parent, message) {
    const node = this.add(parent, message);
    this.select(node);
    return node;
  }

  // Adds a message without showing it.
  add(parent, message) {
    const node = { id: ++lastId, parent, message, shown: null };
    const siblings = this.#children?.get(parent);
    if (siblings) siblings.push(node);
    else this.#children?.set(parent, [node]);
    this.nodes.push(node);
    return node;
  }

  // The messages up to one, the first message first.
  branch(last = this.current) {
    const branch = [];
    for (let node = last; node; node = node.parent) branch.push(node);
    return branch.reverse();
  }

  children(parent) {
    if (!this.#children) {
      this.#children = new Map();
      for (const node of this.nodes) {
        if (!this.#children.has(node.parent)) this.#children.set(node.parent, []);
        this.#children.get(node.parent).push(node);
      }
    }
    return this.#children.get(parent) ?? [];
  }

  // Shows the branch through a message.
  select(node) {
    for (let at = node; at?.parent; at = at.parent) at.parent.shown = at;
    this.current = node && this.leaf(node);
  }

  // The end of the branch that was last shown below a message.
  leaf(node) {
    for (;;) {
      const next = node.shown ?? this.children(node).at(-1);
      if (!next) return node;
      node = next;
    }
  }

  // A message and all that follow it.
  below(node) {
    const found = new Set([node]);
    for (const other of this.nodes) if (found.has(other.parent)) found.add(other);
    return found;
  }

  // Removes a message and all that follow it; an alternative is shown instead, if there is one.
  remove(node) {
    const siblings = this.children(node.parent);
    const at = siblings.indexOf(node);
    const removed = this.below(node);
    const instead = siblings[at + 1] ?? siblings[at - 1] ?? null;
    this.nodes = this.nodes.filter((other) => !removed.has(other));
    this.#children = null;
    if (node.parent?.shown === node) node.parent.shown = null;
    if (removed.has(this.current)) this.select(instead ?? node.parent);
  }

  // The message with the system prompt of the branch that is shown.
  system() {
    const first = this.branch()[0];
    return first?.message.role === "system" ? first : null;
  }

  // Sets the system prompt, or removes it.
  setSystem(text) {
    const old = this.system();
    const children = old ? this.children(old) : [];
    this.#children = null;
    if (old && text) {
      old.message = { ...old.message, content: text };
    } else if (old) {
      for (const child of children) child.parent = null;
      this.nodes = this.nodes.filter((node) => node !== old);
      if (this.current === old) this.current = null;
    } else if (text) {
      const roots = this.children(null).filter((node) => node.message.role !== "system");
      const current = this.current;
      const first = this.append(null, { role: "system", content: text });
      this.nodes.unshift(this.nodes.pop());
      for (const root of roots) root.parent = first;
      this.#children = null;
      if (current) this.select(current);
    }
  }

  // Adds the messages of another tree that this one does not have; `isWhole` drops those that only this one has.
  merge(other, isWhole) {
    const here = new Map([[null, null]]);
    const used = new Set();
    const free = new Map();
    for (const theirs of other.nodes) {
      const parent = here.get(theirs.parent);
      if (!free.has(parent)) free.set(parent, byText(this.children(parent)));
      const same = free.get(parent).get(canonical(theirs.message))?.pop() ?? this.add(parent, theirs.message);
      used.add(same);
      here.set(theirs, same);
    }
    if (isWhole) {
      this.nodes = this.nodes.filter((node) => used.has(node));
      this.#children = null;
      for (const node of this.nodes) if (!used.has(node.shown)) node.shown = null;
      this.select(here.get(other.current));
      this.current = here.get(other.current);
    } else this.select(this.current ?? here.get(other.current));
  }
}

// Messages by what they say, the first of equal ones last.
function byText(nodes) {
  const found = new Map();
  for (const node of [...nodes].reverse()) {
    const text = canonical(node.message);
    if (!found.has(text)) found.set(text, []);
    found.get(text).push(node);
  }
  return found;
}

// The same text for equal values, in whatever order their fields are.
function canonical(value) {
  const sorted = (_, inner) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner;
  return JSON.stringify(value, sorted);
}

export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

// What a value has become by changes on two sides, field by field. Where both have changed it, mine stays.
export function merged(base, mine, theirs) {
  if (canonical(mine) === canonical(base)) return theirs;
  if (!isObject(mine) || !isObject(theirs)) return mine;
  const names = Object.keys({ ...theirs, ...mine });
  const fields = names.map((name) => [name, merged(base?.[name], mine[name], theirs[name])]);
  return Object.fromEntries(fields.filter(([, value]) => value !== undefined));
}
