// The input for a message.
import { lastOf, send } from "../actions.js";
import { current } from "../conversations.js";
import { notify } from "../dialogs.js";
import { isReady } from "../server.js";
import { t } from "../texts.js";
import { html, signal, useLayoutEffect, useRef } from "../ui.js";
import { ContextMeter } from "./figures.js";
import { Icon, IconButton } from "./icons.js";

const DRAFT = "ggrun.draft.";
// Bytes of a file that is added to a message.
const LARGEST_FILE = 1 << 20;

export const focusInput = () => document.getElementById("message")?.focus();

const draft = signal("");
// A new conversation gets its name with its first message.
const keyOf = ({ name }) => DRAFT + (name ?? "");
const stored = (conversation) => sessionStorage.getItem(keyOf(conversation)) ?? "";

export function write(conversation, text) {
  if (keyOf(conversation) === keyOf(current.value)) draft.value = text;
  sessionStorage.setItem(keyOf(conversation), text);
}


export function Composer({ conversation, setEditing }) {
  const area = useRef(null);
  const running = conversation.answer.value;
  const canSend = isReady.value && !running && draft.value.trim() !== "";
  useLayoutEffect(() => {
    draft.value = stored(conversation);
    if (matchMedia("(pointer: fine)").matches) focusInput();
  }, [conversation]);
  // As high as its text.
  useLayoutEffect(() => {
    area.current.style.height = "auto";
    area.current.style.height = `${area.current.scrollHeight}px`;
  }, [draft.value]);
  const submit = (event) => {
    event.preventDefault();
    if (!canSend) return;
    const text = draft.value.trim();
    write(conversation, "");
    send(conversation, text);
  };
  const keys = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
    if (event.key === "ArrowUp" && draft.value === "" && !running && lastOf("user")) {
      event.preventDefault();
      setEditing(lastOf("user"));
    }
  };
  const add = async (files) => {
    const texts = await Promise.all([...files].map(asText));
    // Another conversation may be shown by now, or another text be written.
    write(conversation, [stored(conversation), ...texts].filter(Boolean).join("\n\n"));
  };
  const drop = (event) => {
    const { files } = event.dataTransfer;
    // A text that is dropped is inserted by the browser.
    if (files.length === 0) return;
    event.preventDefault();
    add(files);
  };
  const over = (event) => event.dataTransfer.types.includes("Files") && event.preventDefault();
  return html`<form class="composer" onSubmit=${submit} onDrop=${drop} onDragOver=${over}>
    <div class="box">
      <textarea id="message" ref=${area} rows="1" placeholder=${t.placeholder} aria-label=${t.message} value=${draft.value}
        onInput=${(event) => write(conversation, event.target.value)} onKeyDown=${keys}></textarea>
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

async function asText(file) {
  const refuse = (text) => (notify(text, true), "");
  if (file.size > LARGEST_FILE) return refuse(t.tooLarge(file.name));
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    if (text.includes("\0")) throw new TypeError();
    let ticks = 3;
    for (const [run] of text.matchAll(/`+/g)) ticks = Math.max(ticks, run.length + 1);
    const fence = "`".repeat(ticks);
    return `${file.name}:\n${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
  } catch {
    return refuse(t.notText(file.name));
  }
}
