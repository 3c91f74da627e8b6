// A conversation without messages.
import { model } from "../server.js";
import { t } from "../texts.js";
import { html } from "../ui.js";

export const Empty = ({ suggest }) => html`<div class="empty">
  <h2>${t.welcome}</h2>
  ${model.value && html`<p class="muted">${t.welcomeText(model.value.display_name)}</p>`}
  <div class="suggestions">
    ${t.suggestions.map((text) => html`<button type="button" onClick=${() => suggest(text)}>${text}</button>`)}
  </div>
</div>`;
