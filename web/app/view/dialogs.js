// The small dialogs: confirmation, title, key, shortcuts; and messages that vanish by themselves.
import { declineKey, giveKey, keyWanted } from "../api.js";
import { current, rename } from "../conversations.js";
import { closeDialog, dialog, notice, notify } from "../dialogs.js";
import { SHORTCUTS } from "../shortcuts.js";
import { t } from "../texts.js";
import { html, useState } from "../ui.js";
import { Modal } from "./modal.js";
import { Rich } from "./rich.js";
import { Settings } from "./settings.js";

const KINDS = { confirm: Confirm, rename: Rename, shortcuts: Shortcuts, settings: Settings };

export function Dialogs() {
  const open = current.value && dialog.value;
  const Kind = KINDS[open?.kind];
  return html`
    ${Kind && html`<${Kind} key=${open.kind} ...${open} />`}
    ${keyWanted.value && html`<${Key} wrong=${keyWanted.value.wrong} />`}
    ${notice.value && html`<p class="notice ${notice.value.isProblem ? "bad" : ""}">${notice.value.text}</p>`}
  `;
}

function Confirm({ title, text, action, onYes }) {
  const yes = (event) => {
    event.preventDefault();
    closeDialog();
    onYes();
  };
  return html`<${Modal} title=${title} onClose=${closeDialog}>
    <form onSubmit=${yes}>
      <p>${text}</p>
      <div class="row end">
        <button type="button" onClick=${closeDialog}>${t.cancel}</button>
        <button class="danger" autofocus>${action}</button>
      </div>
    </form>
  <//>`;
}

function Rename({ name, title }) {
  const [text, setText] = useState(title);
  const save = (event) => {
    event.preventDefault();
    closeDialog();
    rename(name, text.trim()).catch((error) => notify(error.message, true));
  };
  return html`<${Modal} title=${t.renameTitle} onClose=${closeDialog}>
    <form onSubmit=${save}>
      <label class="field"><span>${t.title}</span>
        <input autofocus value=${text} onInput=${(event) => setText(event.target.value)} />
      </label>
      <div class="row end">
        <button type="button" onClick=${closeDialog}>${t.cancel}</button>
        <button class="primary">${t.save}</button>
      </div>
    </form>
  <//>`;
}

function Key({ wrong }) {
  const [text, setText] = useState("");
  const [keep, setKeep] = useState(false);
  const use = (event) => {
    event.preventDefault();
    if (text.trim()) giveKey(text.trim(), keep);
  };
  return html`<${Modal} title=${t.locked} onClose=${declineKey}>
    <form onSubmit=${use}>
      ${wrong && html`<p class="bad" role="alert">${t.keyWrong}</p>`}
      <div class="field">
        <label for="key">${t.keyLabel}</label>
        <input id="key" type="password" autocomplete="off" autofocus aria-describedby="key-hint" value=${text}
          onInput=${(event) => setText(event.target.value)} />
        <small id="key-hint"><${Rich} text=${t.keyHint} /></small>
      </div>
      <label class="check"><input type="checkbox" checked=${keep} onChange=${(event) => setKeep(event.target.checked)} />${t.keyKeep}</label>
      <div class="row end"><button class="primary" disabled=${!text.trim()}>${t.keyUse}</button></div>
    </form>
  <//>`;
}

function Shortcuts() {
  return html`<${Modal} title=${t.shortcuts} onClose=${closeDialog}>
  <dl class="shortcuts">
    ${SHORTCUTS.map(
      ({ name, keys }) => html`<div>
        <dt>${t.shortcutNames[name]}</dt>
        <dd>${keys.split(" ").map((key) => html`<kbd>${key}</kbd>`)}</dd>
      </div>`,
    )}
  </dl>
<//>`;
}
