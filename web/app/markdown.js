// Markdown of the model to HTML that is safe to show. The text is untrusted: it is parsed, then sanitized.
import purify from "../vendor/dompurify.js";
import { Marked } from "../vendor/marked.js";
import { t } from "./texts.js";

// Bounds, so that no text holds up the page. What is beyond them is shown as it was written.
const MOST_ELEMENTS = 5000;
const LONGEST_INLINE = 10_000;
const DEEPEST = 50;
// Paragraphs that end where a formula may begin: after each the library looks at all that follows. Other formulas are found
// in their paragraph.
const MOST_CUTS = 200;
// How much longer than parsing and drawing it takes is waited before the end of a text is parsed again.
const PATIENCE = 16;
// Characters by which it is certain what a line begins.
const CERTAIN = 16;

// Tags that a text may have as such; others are shown as text.
const INLINE = /^<\/?(br|sub|sup|kbd|u|mark|details|summary)\s*\/?>$/i;
const ALLOWED = {
  ALLOWED_TAGS: [
    ..."a b blockquote br code del details em h1 h2 h3 h4 h5 h6 hr i kbd li mark ol p pre s span strong".split(" "),
    ..."sub summary sup table tbody td th thead tr u ul".split(" "),
  ],
  ALLOWED_ATTR: ["align", "data-display", "data-lang", "data-tex", "href", "start", "title"],
  // Their values are not addresses.
  ADD_URI_SAFE_ATTR: ["align", "data-display", "data-lang", "data-tex", "start"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
};

purify.addHook("afterSanitizeAttributes", (element) => {
  if (element.tagName !== "A") return;
  element.setAttribute("target", "_blank");
  element.setAttribute("rel", "noopener noreferrer");
});

const escaped = (text) =>
  text.replace(/[&<>"']/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[sign]);

const renderer = {
  html({ text, block }) {
    const shown = text.replace(/<[^<>]*>|[&<>]/g, (part) => (INLINE.test(part) ? part : escaped(part)));
    return block ? `<p>${shown}</p>` : shown;
  },
  // An image would be a request to wherever the text says.
  image({ href, text }) {
    return `<a href="${escaped(href)}">${escaped(t.image(text))}</a>`;
  },
  checkbox({ checked }) {
    return checked ? "☑ " : "☐ ";
  },
  code({ text, lang }) {
    const language = (lang ?? "").match(/^[\w+#.-]+/)?.[0] ?? "";
    return `<pre><code data-lang="${escaped(language)}">${escaped(text)}\n</code></pre>`;
  },
};

// Formulas: `$…$` and `\(…\)` in a line, `$$…$$` and `\[…\]` on their own.
const INLINE_FORMULA = /^(?:\\\(([^]{1,4000}?)\\\)|\$(?![\s$])((?:\\.|[^\\$\n])*?(?:\\.|[^\s\\$]))\$(?![\d$]))/;
const BLOCK_FORMULA = /^ {0,3}(?:\$\$([^]{1,4000}?)\$\$|\\\[([^]{1,4000}?)\\\])[^\S\n]*(?:\n|$)/;
const ANY_FORMULA = /^(?:\$\$([^]{1,4000}?)\$\$|\\\[([^]{1,4000}?)\\\])/;

function formula(name, level, pattern, isDisplay) {
  return {
    name,
    level,
    start(text) {
      const at = text.slice(0, LONGEST_INLINE).match(level === "block" ? /\n {0,3}(?=\$\$|\\\[)/ : /\$|\\[([]/)?.index;
      return level === "block" && at !== undefined && this.lexer.cuts++ >= MOST_CUTS ? undefined : at;
    },
    tokenizer(text) {
      const found = pattern.exec(text);
      return found ? { type: name, raw: found[0], tex: (found[1] ?? found[2]).trim() } : undefined;
    },
    renderer: ({ tex }) => {
      const span = `<span data-tex="${escaped(tex)}"${isDisplay ? ' data-display="1"' : ""}>${escaped(tex)}</span>`;
      return level === "block" ? `<p>${span}</p>` : span;
    },
  };
}

const marked = new Marked({
  gfm: true,
  renderer,
  extensions: [
    formula("formulaBlock", "block", BLOCK_FORMULA, true),
    formula("formulaDisplay", "inline", ANY_FORMULA, true),
    formula("formula", "inline", INLINE_FORMULA, false),
  ],
});

class Lexer extends marked.Lexer {
  cuts = 0;
  #depth = 0;

  blockTokens(text, tokens = [], ...rest) {
    return this.#within(text, tokens, () => super.blockTokens(text, tokens, ...rest));
  }

  inlineTokens(text, tokens = []) {
    return this.#within(text, tokens, () => text.length <= LONGEST_INLINE && super.inlineTokens(text, tokens));
  }

  #within(text, tokens, parse) {
    this.#depth++;
    const parsed = this.#depth <= DEEPEST && parse();
    this.#depth--;
    if (parsed) return parsed;
    tokens.push({ type: "text", raw: text, text });
    return tokens;
  }
}

// A text that grows, as blocks of HTML. Only its end is parsed again, and less often the longer that takes: what comes before
// does not change any more.
export class Growing {
  #settled = { text: "", blocks: [], elements: 0 };
  #last = { text: "", blocks: [], isComplete: false };
  #elements = 0;
  // When the text is parsed again.
  #due = 0;

  // A complete text is parsed as a whole if it has definitions of links, which may be for what comes before them.
  blocks(text, isComplete, now = performance.now()) {
    const last = this.#last;
    const isNew = last.isComplete !== isComplete || !text.startsWith(last.text);
    if (isNew || (last.text !== text && now >= this.#due)) {
      this.#last = { text, isComplete, blocks: this.#parsed(text.replace(/\r\n?/g, "\n"), isComplete) };
      // About the milliseconds that it takes.
      const cost = (text.length - this.#settled.text.length) / 1000 + (this.#elements - this.#settled.elements) / 20;
      this.#due = now + PATIENCE * cost;
    }
    return this.#last.blocks;
  }

  // The milliseconds after which a text that has grown is parsed, or null if it was.
  wait(text, now = performance.now()) {
    return this.#last.text === text ? null : Math.max(this.#due - now, 0);
  }

  // Stack space and the steps of a pattern have limits that no bound here foresees.
  #parsed(text, isComplete) {
    try {
      return this.#parse(text, isComplete && /^ {0,3}\[[^\]]+\]:/m.test(text));
    } catch {
      return [source(text)];
    }
  }

  #parse(text, isWhole) {
    if (isWhole || !text.startsWith(this.#settled.text)) this.#settled = { text: "", blocks: [], elements: 0 };
    const settled = this.#settled;
    this.#elements = settled.elements;
    const rest = text.slice(settled.text.length);
    if (this.#elements >= MOST_ELEMENTS) return [...settled.blocks, source(rest)];
    const tokens = new Lexer(marked.defaults).lex(rest);
    const solid = isWhole ? 0 : settledCount(tokens);
    settled.blocks.push(...this.#html(tokens, 0, solid));
    settled.elements = this.#elements;
    settled.text += tokens.slice(0, solid).map((token) => token.raw).join("");
    return [...settled.blocks, ...this.#html(tokens, solid)];
  }

  // The blocks of some tokens.
  #html(tokens, from, to = tokens.length) {
    const blocks = [];
    for (let at = from; at < to; at++) {
      const { type, raw } = tokens[at];
      if (type === "space") continue;
      if (this.#elements >= MOST_ELEMENTS) {
        blocks.push(source(tokens.slice(at, to).map((token) => token.raw).join("")));
        break;
      }
      const html = marked.parser(Object.assign([tokens[at]], { links: tokens.links }));
      const count = html.match(/<\w/g)?.length ?? 0;
      const fits = this.#elements + count <= MOST_ELEMENTS;
      this.#elements += fits ? count : 1;
      blocks.push(fits ? purify.sanitize(html, ALLOWED) : source(raw));
    }
    return blocks;
  }
}

const source = (text) => `<pre>${escaped(text)}</pre>`;

// The last block may grow, and so may the one before it while the last may become a part of it: `1` an item of its list.
function settledCount(tokens) {
  const before = (end) => tokens.slice(0, end).findLastIndex((token) => token.type !== "space");
  const last = before();
  const isShort = last > 0 && tokens[last].raw.trim().length < CERTAIN;
  return Math.max(isShort ? before(last) : last, 0);
}
