// A dialog in front of the page. The browser keeps the focus in it and closes it on Escape.
import { t } from "../texts.js";
import { html, useId, useLayoutEffect, useRef } from "../ui.js";
import { IconButton } from "./icons.js";

export function Modal({ title, kind = "", onClose, children }) {
  const shown = useRef(null);
  const id = useId();
  useLayoutEffect(() => {
    const focused = document.activeElement;
    shown.current.showModal();
    // Once the dialog is gone: what is behind it cannot have the focus before. The browser has moved the focus already if it
    // closed the dialog, and the user may have gone elsewhere since.
    const giveBack = () => document.activeElement === document.body && focused?.isConnected && focused.focus();
    return () => queueMicrotask(giveBack);
  }, []);
  const beside = (event) => event.target === shown.current && onClose();
  return html`<dialog ref=${shown} class="modal ${kind}" aria-labelledby=${id} onClose=${onClose} onMouseDown=${beside}>
    <div class="modal-body">
      <header>
        <h2 id=${id}>${title}</h2>
        <${IconButton} icon="close" label=${t.close} onClick=${onClose} />
      </header>
      ${children}
    </div>
  </dialog>`;
}
