// The whole page.
import { sentences } from "../announcer.js";
import { current, failure } from "../conversations.js";
import { dialog } from "../dialogs.js";
import { isSidebarOpen } from "../preferences.js";
import { goToStatus, view } from "../route.js";
import { isReady, model } from "../server.js";
import { t } from "../texts.js";
import { html, signal, useLayoutEffect, useState } from "../ui.js";
import { Banner } from "./banner.js";
import { Composer, focusInput, write } from "./composer.js";
import { Dialogs } from "./dialogs.js";
import { IconButton } from "./icons.js";
import { Sidebar, titleOf } from "./sidebar.js";
import { Status } from "./status.js";
import { Thread } from "./thread.js";

const narrow = matchMedia("(max-width: 760px)");
const isNarrow = signal(narrow.matches);
narrow.addEventListener("change", () => (isNarrow.value = narrow.matches));
if (narrow.matches) isSidebarOpen.value = false;

export function App() {
  const isOpen = isSidebarOpen.value;
  const covers = isOpen && isNarrow.value;
  return html`<div class="page ${isOpen ? "with-sidebar" : ""}">
    ${isOpen && html`<${Sidebar} isNarrow=${isNarrow.value} />`}
    ${covers && html`<div class="veil" onClick=${() => (isSidebarOpen.value = false)}></div>`}
    <div class="content" inert=${covers}>
      ${view.value === "status" ? html`<${Status} />` : current.value && html`<${Chat} key="chat" conversation=${current.value} />`}
    </div>
    <${Dialogs} />
    <div class="hidden" role="status" aria-live="polite">${sentences.value.map(({ id, text }) => html`<p key=${id}>${text}</p>`)}</div>
  </div>`;
}

function Chat({ conversation }) {
  const [editing, setEditing] = useState(null);
  useLayoutEffect(() => setEditing(null), [conversation]);
  const suggest = (text) => {
    write(conversation, text);
    focusInput();
  };
  return html`<main class="chat">
    <${Bar} conversation=${conversation} />
    <${Banner} />
    ${isReady.value && failure.value && html`<${Failure} title=${t.notRead} error=${failure.value} />`}
    ${conversation.failure.value && html`<${Failure} title=${t.notSaved} error=${conversation.failure.value} />`}
    <${Thread} ...${{ conversation, editing, setEditing, suggest }} />
    <${Composer} ...${{ conversation, setEditing }} />
  </main>`;
}

const Failure = ({ title, error }) => html`<div class="banner bad" role="alert"><strong>${title}</strong><p>${error.message}</p></div>`;

function Bar({ conversation }) {
  void conversation.changes.value;
  const isNew = conversation.tree.nodes.length === 0;
  return html`<header class="bar">
    ${!isSidebarOpen.value && html`<${IconButton} icon="menu" label=${t.openSidebar} keys="Ctrl B" onClick=${() => (isSidebarOpen.value = true)} />`}
    <div class="heading">
      <h1>${isNew && !conversation.title ? t.newConversation : titleOf(conversation)}</h1>
      ${model.value && html`<span class="muted">${model.value.display_name}</span>`}
    </div>
    <${IconButton} icon="chart" label=${t.status} keys="Ctrl Shift L" onClick=${goToStatus} />
    <${IconButton} icon="keyboard" label=${t.shortcuts} keys="Ctrl /" onClick=${() => (dialog.value = { kind: "shortcuts" })} />
    <${IconButton} icon="gear" label=${t.settings} keys="Ctrl ." onClick=${() => (dialog.value = { kind: "settings" })} />
  </header>`;
}
