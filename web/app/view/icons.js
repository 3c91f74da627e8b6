// Icons, drawn on a grid of 24.
import { t } from "../texts.js";
import { html } from "../ui.js";

const PATHS = {
  menu: "M4 6h16M4 12h16M4 18h16",
  plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14M16 16l4 4",
  gear: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5v4M9 15v4",
  chart: "M4 4v16h16M8 15l4-5 3 3 5-7",
  keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  edit: "M5 19h3L19 8l-3-3L5 16zM14 7l3 3",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  check: "M5 12l5 5 9-10",
  redo: "M19 12a7 7 0 1 1-2-5l2 2M19 4v5h-5",
  continue: "M6 5l8 7-8 7zM18 5v14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  left: "M14 6l-6 6 6 6",
  right: "M10 6l6 6-6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  fold: "M9 6l6 6-6 6",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  close: "M6 6l12 12M18 6L6 18",
  clip: "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.4 3.4 0 0 1 5 5l-8.500 8.500a1.700 1.700 0 0 1-2.500-2.500L15 7",
  tool: "M15 4a5 5 0 0 0-4.600 6.700L4 17v3h3l6.300-6.400A5 5 0 0 0 20 9l-3 2-3-3 2-3z",
  import: "M12 4v11M7 10l5 5 5-5M5 20h14",
  export: "M12 15V4M7 9l5-5 5 5M5 20h14",
  warning: "M12 4L3 20h18zM12 10v4M12 17h.01",
};

export const Icon = ({ name }) =>
  html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

export const IconButton = ({ icon, label, keys, ...rest }) =>
  html`<button type="button" class="icon-button" aria-label=${label} title=${keys ? t.withKeys(label, keys) : label} ...${rest}>
    <${Icon} name=${icon} />
  </button>`;
