// The settings of a conversation, and those of this browser.
import { current } from "../conversations.js";
import { closeDialog, notify } from "../dialogs.js";
import { textOf } from "../format.js";
import { defaults, isReasoningOpen, theme } from "../preferences.js";
import { props } from "../server.js";
import { GROUPS, JSON_FIELDS, REASONING, jsonOf, shownDefault } from "../settings.js";
import { t } from "../texts.js";
import { html, useState } from "../ui.js";
import { Icon } from "./icons.js";
import { Modal } from "./modal.js";

export function Settings() {
  const conversation = current.value;
  void conversation.changes.value;
  const { settings, tree } = conversation;
  const system = textOf(tree.system()?.message.content);
  const params = props.value?.default_generation_settings.params;
  const save = () => conversation.tree.nodes.length > 0 && conversation.name && conversation.save();
  const set = (key, value) => {
    const { [key]: _, ...others } = settings;
    conversation.settings = value === undefined ? others : { ...others, [key]: value };
    save();
  };
  const setSystem = (text) => {
    tree.setSystem(text.trim());
    conversation.changed();
    save();
  };
  const [resets, setResets] = useState(0);
  const resetAll = () => {
    setResets(resets + 1);
    conversation.settings = {};
    setSystem("");
  };
  const keepAsDefaults = () => {
    defaults.value = { ...settings, ...(system && { system }) };
    notify(t.asDefaultsDone);
  };
  const group = ({ name, fields }) => html`<${Group} title=${t.groups[name]} isOpen=${name === "common" || fields.some(({ key }) => key in settings)}>
    <div class="grid">${fields.map((field) => html`<${Plain} key=${field.key} ...${{ field, settings, params, set }} />`)}</div>
  <//>`;
  return html`<${Modal} title=${t.settingsTitle} kind="drawer" onClose=${closeDialog}>
    <p class="muted">${t.settingsHint}</p>
    <${Field} name="system" label=${t.systemPrompt} hint=${t.systemHint} isSet=${system !== ""} reset=${() => setSystem("")}>
      <${Input} tag="textarea" id="setting-system" rows="4" value=${system} take=${(event) => setSystem(event.target.value)} />
    <//>
    ${group(GROUPS[0])}
    <${Group} title=${t.reasoningGroup} isOpen>
      <div class="grid">
        <${Choice} ...${{ settings, set }} />
        <${Plain} field=${{ key: "reasoning_budget", kind: "number", step: 1, min: -1 }} ...${{ settings, params, set }} />
      </div>
    <//>
    ${GROUPS.slice(1).map(group)}
    <${Group} title=${t.formatGroup} isOpen=${Object.keys(JSON_FIELDS).some((key) => settings[key])}>
      ${Object.keys(JSON_FIELDS).map((key) => html`<${Json} key=${key + resets} name=${key} ...${{ settings, set }} />`)}
    <//>
    <div class="row">
      <button type="button" onClick=${keepAsDefaults}>${t.asDefaults}</button>
      <span class="space"></span>
      <button type="button" onClick=${resetAll}>${t.resetAll}</button>
    </div>
    <${Browser} />
  <//>`;
}

const Group = ({ title, isOpen, children }) => html`<details class="group" open=${isOpen}>
  <summary><${Icon} name="fold" />${title}</summary>
  ${children}
</details>`;

function Field({ name, label, hint, isSet, isWrong, reset, children }) {
  return html`<div class="field ${isSet ? "set" : ""}">
    <div class="row"><label for="setting-${name}">${label}</label><span class="space"></span>
      ${isSet && html`<button type="button" class="small" aria-label="${t.reset}: ${label}" onClick=${reset}>${t.reset}</button>`}
    </div>
    ${children}
    ${hint && html`<small id="hint-${name}" class=${isWrong ? "bad" : ""}>${hint}</small>`}
  </div>`;
}

// An input that keeps what is typed while the settings are drawn again. `take` gets it in the end, and returns false if it
// is not valid.
function Input({ tag: Tag = "input", value, take, ...rest }) {
  const [typed, setTyped] = useState(null);
  const change = (event) => take(event) !== false && setTyped(null);
  return html`<${Tag} ...${rest} value=${typed ?? value} onInput=${(event) => setTyped(event.target.value)} onChange=${change} />`;
}

function Plain({ field: { key, kind, step, min, max }, settings, params, set }) {
  const [label, hint] = t.fields[key];
  const value = settings[key];
  const list = [value ?? []].flat();
  const placeholder = shownDefault(key, params);
  const common = { id: `setting-${key}`, placeholder, "aria-describedby": hint ? `hint-${key}` : null };
  const setNumber = (event) => {
    const { value: text, valueAsNumber: number, validity } = event.target;
    if (text === "" && !validity.badInput) set(key, undefined);
    else if (validity.valid || (validity.stepMismatch && !Number.isInteger(step))) set(key, number);
    else return event.target.reportValidity();
    return true;
  };
  const setList = (event) => {
    const items = event.target.value.split(kind === "lines" ? "\n" : ",").map((item) => (kind === "lines" ? item : item.trim()));
    const some = items.filter(Boolean);
    set(key, some.length ? some : undefined);
  };
  const input =
    kind === "number"
      ? html`<${Input} type="number" ...${common} step=${step} min=${min} max=${max} value=${value ?? ""} take=${setNumber} />`
      : kind === "lines"
        ? html`<${Input} tag="textarea" rows="2" ...${common} value=${list.join("\n")} take=${setList} />`
        : html`<${Input} ...${common} value=${list.join(", ")} take=${setList} />`;
  return html`<${Field} name=${key} label=${label} hint=${hint} isSet=${value !== undefined} reset=${() => set(key, undefined)}>${input}<//>`;
}

function Choice({ settings, set }) {
  const [label, hint] = t.fields.reasoning;
  const choose = (event) => set("reasoning", event.target.value || undefined);
  const value = settings.reasoning ?? "";
  return html`<${Field} name="reasoning" label=${label} hint=${hint} isSet=${value !== ""} reset=${() => set("reasoning", undefined)}>
    <select id="setting-reasoning" value=${value} onChange=${choose}>
      <option value="">${t.byModel}</option>
      ${REASONING.map((mode) => html`<option value=${mode}>${t.reasoningModes[mode]}</option>`)}
    </select>
  <//>`;
}

function Json({ name, settings, set }) {
  // A text that is not valid, and so not set.
  const [wrong, setWrong] = useState(null);
  const text = String(wrong ?? settings[name] ?? "");
  const [label, hint] = t.fields[name];
  const isValid = (value) => !value.trim() || jsonOf(name, value) !== undefined;
  const isWrong = !isValid(text);
  const change = ({ target: { value } }) => {
    setWrong(isValid(value) ? null : value);
    if (isValid(value)) set(name, value.trim() ? value : undefined);
  };
  const reset = () => {
    setWrong(null);
    set(name, undefined);
  };
  const shown = isWrong ? t.invalidJson[name] : hint;
  return html`<${Field} name=${name} label=${label} hint=${shown} isWrong=${isWrong} isSet=${text !== ""} reset=${reset}>
    <${Input} tag="textarea" id="setting-${name}" class="mono" rows="4" spellcheck="false" value=${text} take=${change}
      aria-invalid=${isWrong} aria-describedby="hint-${name}" />
  <//>`;
}

const Browser = () => html`<section class="browser">
  <h3>${t.pageGroup}</h3>
  <fieldset class="segments"><legend>${t.theme}</legend>
    ${Object.entries(t.themes).map(
      ([name, label]) => html`<label>
        <input type="radio" name="theme" checked=${theme.value === name} onChange=${() => (theme.value = name)} />${label}
      </label>`,
    )}
  </fieldset>
  <label class="check">
    <input type="checkbox" checked=${isReasoningOpen.value} onChange=${(event) => (isReasoningOpen.value = event.target.checked)} />
    ${t.isReasoningOpen}
  </label>
</section>`;
