// Markdown of the model to HTML that is safe to show. The text is untrusted: it is parsed, then sanitized.
import purify from "../vendor/dompurify.js";
import { Marked } from "../vendor/marked.js";
import { t } from "./texts.js";

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
const INLINE_FORMULA = /^(?:\\\(([^]+?)\\\)|\$(?![\s$])((?:\\.|[^\\$\n])*?(?:\\.|[^\s\\$]))\$(?![\d$]))/;
const BLOCK_FORMULA = /^ {0,3}(?:\$\$([^]+?)\$\$|\\\[([^]+?)\\\])[^\S\n]*(?:\n|$)/;
const ANY_FORMULA = /^(?:\$\$([^]+?)\$\$|\\\[([^]+?)\\\])/;

function formula(name, level, pattern, isDisplay) {
  return {
    name,
    level,
    start: (text) => text.match(level === "block" ? /\n {0,3}(?=\$\$|\\\[)/ : /\$|\\[([]/)?.index,
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

const toHtml = (tokens) => purify.sanitize(marked.parser(tokens), ALLOWED);

// A text that grows, as blocks of HTML. Only its end is parsed again: what comes before does not change any more.
export class Growing {
  #settled = { text: "", blocks: [] };
  #last = {};

  // A complete text is parsed as a whole if it has definitions of links, which may be for what comes before them.
  blocks(text, isComplete) {
    if (this.#last.text !== text || this.#last.isComplete !== isComplete) {
      this.#last = { text, isComplete, blocks: this.#parse(text, isComplete && /^ {0,3}\[[^\]]+\]:/m.test(text)) };
    }
    return this.#last.blocks;
  }

  #parse(text, isWhole) {
    if (isWhole || !text.startsWith(this.#settled.text)) this.#settled = { text: "", blocks: [] };
    const tokens = marked.lexer(text.slice(this.#settled.text.length));
    const html = (token) => toHtml(Object.assign([token], { links: tokens.links }));
    const blocks = (some) => some.filter((token) => token.type !== "space").map(html);
    const solid = isWhole ? 0 : settledCount(tokens);
    this.#settled.text += tokens.slice(0, solid).map((token) => token.raw).join("");
    this.#settled.blocks.push(...blocks(tokens.slice(0, solid)));
    return [...this.#settled.blocks, ...blocks(tokens.slice(solid))];
  }
}

// The last block may grow, and the one before it may be a list or a table that continues.
function settledCount(tokens) {
  let solid = tokens.length;
  for (let open = 2; open > 0 && solid > 0; solid--) if (tokens[solid - 1].type !== "space") open--;
  return solid;
}
