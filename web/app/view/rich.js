// Texts of the page with code between backticks.
import { html } from "../ui.js";

export const Rich = ({ text }) =>
  text.split("`").map((part, at) => (at % 2 ? html`<code class="option">${part}</code>` : part));
