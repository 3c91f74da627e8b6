// What a block of an answer gets after it was sanitized: code with colors and a copy button, tables that scroll, formulas.
import { copy } from "./clipboard.js";
import { highlight } from "./highlight.js";
import { t } from "./texts.js";

// Without the library, formulas stay as the model wrote them.
let formulas = null;
const loadFormulas = () => (formulas ??= import("../vendor/temml.js").then((library) => library.default, () => null));

export function decorate(block) {
  for (const code of block.querySelectorAll("pre > code")) decorateCode(code);
  for (const table of block.querySelectorAll("table")) decorateTable(table);
  for (const span of block.querySelectorAll("[data-tex]")) showFormula(span);
}

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

function decorateCode(code) {
  const pre = code.parentElement;
  const language = code.dataset.lang;
  const button = element("button", "small", t.copy);
  button.type = "button";
  button.ariaLabel = t.copyCode;
  button.onclick = async () => {
    button.textContent = (await copy(code.textContent.replace(/\n$/, ""))) ? t.copied : t.notCopied;
    setTimeout(() => (button.textContent = t.copy), 1500);
  };
  const frame = element("div", "code");
  pre.replaceWith(frame);
  pre.tabIndex = 0;
  frame.append(element("div", "code-head", element("span", "", language || t.code), button), pre);
  if (language) highlight(code, language);
}

function decorateTable(table) {
  const frame = element("div", "table");
  frame.tabIndex = 0;
  frame.role = "region";
  frame.ariaLabel = t.table;
  table.replaceWith(frame);
  frame.append(table);
}

async function showFormula(span) {
  const library = await loadFormulas();
  const { tex, display } = span.dataset;
  if (display) Object.assign(span, { tabIndex: 0, role: "group", ariaLabel: t.formula });
  const options = { displayMode: Boolean(display), trust: false, throwOnError: false, maxSize: [20, 500], maxExpand: 500 };
  library?.render(tex, span, options);
}
