// Markdown of the model; a block whose HTML has not changed stays as it is.
import { decorate } from "../decorate.js";
import { Growing } from "../markdown.js";
import { html, useLayoutEffect, useRef } from "../ui.js";

export function Markdown({ text, isLive }) {
  const growing = useRef(null);
  growing.current ??= new Growing();
  const blocks = growing.current.blocks(text, !isLive);
  return html`<div class="prose">
    ${blocks.map((block, at) => html`<${Block} key=${at} content=${block} isLive=${isLive && at === blocks.length - 1} />`)}
  </div>`;
}

// The HTML was sanitized.
function Block({ content, isLive }) {
  const shown = useRef(null);
  useLayoutEffect(() => {
    shown.current.innerHTML = content;
    decorate(shown.current, isLive);
  }, [content, isLive]);
  return html`<div ref=${shown}></div>`;
}
