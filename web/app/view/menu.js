// A button that opens a list of actions.
import { html, useLayoutEffect, useRef, useState } from "../ui.js";
import { Icon, IconButton } from "./icons.js";

export function Menu({ label, actions }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef(null);
  const items = () => [...root.current.querySelectorAll("[role=menuitem]")];
  const close = () => {
    setOpen(false);
    root.current.querySelector("button").focus();
  };
  useLayoutEffect(() => {
    if (!isOpen) return undefined;
    items()[0].focus();
    const outside = (event) => root.current.contains(event.target) || setOpen(false);
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isOpen]);
  const keys = (event) => {
    if (!isOpen) return;
    const [all, by] = [items(), { ArrowDown: 1, ArrowUp: -1 }[event.key]];
    if (event.key === "Escape") close();
    else if (by) all[(all.indexOf(document.activeElement) + by + all.length) % all.length].focus();
    else if (event.key === "Tab") return setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const act = (action) => () => {
    close();
    action();
  };
  return html`<div class="menu" ref=${root} onKeyDown=${keys}>
    <${IconButton} icon="more" label=${label} aria-haspopup="menu" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)} />
    ${isOpen &&
    html`<div class="popup" role="menu" aria-label=${label}>
      ${actions.map(
        ({ label: text, icon, action }) => html`<button type="button" role="menuitem" onClick=${act(action)}>
          <${Icon} name=${icon} />${text}
        </button>`,
      )}
    </div>`}
  </div>`;
}
