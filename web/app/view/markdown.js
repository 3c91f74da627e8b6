// Markdown of the model; a block whose HTML has not changed stays as it is.
import { html, signal, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";

// What shows Markdown, loaded when the first answer is shown.
const tools = signal(null);
let loading = null;

async function load() {
  loading ??= Promise.all([import("../markdown.js"), import("../decorate.js")]);
  const [{ Growing }, { decorate }] = await loading;
  tools.value ??= { Growing, decorate };
}

export function Markdown({ text, isLive }) {
  const growing = useRef(null);
  const [, setTick] = useState(0);
  useEffect(() => {
    // Without them, texts stay as the model wrote them.
    load().catch(() => {});
  }, []);
  // The last part of a text is shown after a while even if nothing follows.
  useEffect(() => {
    const wait = growing.current?.wait(text) ?? null;
    if (wait === null) return undefined;
    const timer = setTimeout(() => setTick((count) => count + 1), wait);
    return () => clearTimeout(timer);
  });
  if (!tools.value) return html`<div class="prose plain">${text}</div>`;
  growing.current ??= new tools.value.Growing();
  const blocks = growing.current.blocks(text, !isLive);
  return html`<div class="prose">
    ${blocks.map((block, at) => html`<${Block} key=${at} content=${block} />`)}
  </div>`;
}

// The HTML was sanitized.
function Block({ content }) {
  const shown = useRef(null);
  useLayoutEffect(() => {
    shown.current.innerHTML = content;
    tools.value.decorate(shown.current);
  }, [content]);
  return html`<div ref=${shown}></div>`;
}
