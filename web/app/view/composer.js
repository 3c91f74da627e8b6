// The input for a message.
import { lastOf, send } from "../actions.js";
import { notify } from "../dialogs.js";
import { isReady } from "../server.js";
import { t } from "../texts.js";
import { html, useLayoutEffect, useRef } from "../ui.js";
import { ContextMeter } from "./figures.js";
import { Icon, IconButton } from "./icons.js";

const DRAFT = "ggrun.draft.";
// Bytes of a file that is added to a message.
const LARGEST_FILE = 1 << 20;

export const focusInput = () => document.getElementById("message")?.focus();

export function Composer({ conversation, draft, setEditing }) {
  const area = useRef(null);
  const stored = DRAFT + (conversation.name ?? "");
  const running = conversation.answer.value;
  const canSend = isReady.value && !running && draft.value.trim() !== "";
  useLayoutEffect(() => {
    draft.value = sessionStorage.getItem(stored) ?? "";
    if (matchMedia("(pointer: fine)").matches) focusInput();
  }, [conversation]);
  // As high as its text.
  useLayoutEffect(() => {
    area.current.style.height = "auto";
    area.current.style.height = `${area.current.scrollHeight}px`;
  }, [draft.value]);
  const write = (text) => {
    draft.value = text;
    sessionStorage.setItem(stored, text);
  };
  const submit = (event) => {
    event.preventDefault();
    if (!canSend) return;
    const text = draft.value.trim();
    write("");
    send(conversation, text);
  };
  const keys = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    if (event.key === "ArrowUp" && draft.value === "" && !running && lastOf("user")) {
      event.preventDefault();
      setEditing(lastOf("user"));
    }
  };
  const add = async (files) => write([draft.value, ...(await Promise.all([...files].map(asText)))].filter(Boolean).join("\n\n"));
  const drop = (event) => {
    event.preventDefault();
    add(event.dataTransfer.files);
  };
  return html`<form class="composer" onSubmit=${submit} onDrop=${drop} onDragOver=${(event) => event.preventDefault()}>
    <div class="box">
      <textarea id="message" ref=${area} rows="1" placeholder=${t.placeholder} aria-label=${t.message} value=${draft.value}
        onInput=${(event) => write(event.target.value)} onKeyDown=${keys}></textarea>
      <div class="row">
        <${FileButton} add=${add} />
        <${ContextMeter} conversation=${conversation} />
        <span class="space"></span>
        ${running
          ? html`<button type="button" class="round" aria-label=${t.stop} title=${t.withKeys(t.stop, "Esc")} onClick=${() => running.stop()}>
              <${Icon} name="stop" />
            </button>`
          : html`<button class="round" aria-label=${t.send} title=${t.withKeys(t.send, "Enter")} disabled=${!canSend}>
              <${Icon} name="send" />
            </button>`}
      </div>
    </div>
  </form>`;
}

function FileButton({ add }) {
  const input = useRef(null);
  const chosen = (event) => {
    add(event.target.files);
    event.target.value = "";
  };
  return html`<${IconButton} icon="clip" label=${t.attach} onClick=${() => input.current.click()} />
    <input ref=${input} type="file" multiple hidden onChange=${chosen} />`;
}

// A file as part of a message.
async function asText(file) {
  try {
    if (file.size > LARGEST_FILE) throw new RangeError();
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (text.includes("\0")) throw new TypeError();
    const fence = "`".repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
    return `${file.name}:\n${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
  } catch {
    notify(t.notText(file.name), true);
    return "";
  }
}
