// The list of conversations.
import { download } from "../clipboard.js";
import { current, exported, exportedAll, imported, isShared, list, opened, remove, search } from "../conversations.js";
import { confirm, dialog, notify } from "../dialogs.js";
import { isSidebarOpen } from "../preferences.js";
import { goTo, goToNew } from "../route.js";
import { t } from "../texts.js";
import { html, useEffect, useRef, useState } from "../ui.js";
import { Icon, IconButton } from "./icons.js";
import { Menu } from "./menu.js";

export const titleOf = ({ title, name }) => title || name || t.untitled;
// Messages are searched once nothing is typed for this long.
const SEARCH_AFTER_MS = 250;
const failed = (error) => notify(error.message, true);

export function Sidebar({ isNarrow }) {
  const [query, setQuery] = useState("");
  const wanted = query.trim().toLowerCase();
  const found = useSearch(wanted);
  const shown = list.value.filter((one) => titleOf(one).toLowerCase().includes(wanted) || found?.names.has(one.name));
  const afterwards = () => isNarrow && (isSidebarOpen.value = false);
  return html`<nav class="sidebar" aria-label=${t.conversations}>
    <div class="row">
      <strong class="brand">ggrun</strong>
      <span class="space"></span>
      <${IconButton} icon=${isNarrow ? "close" : "menu"} label=${t.closeSidebar} keys="Ctrl B" onClick=${() => (isSidebarOpen.value = false)} />
    </div>
    <button type="button" class="new" title=${t.withKeys(t.newConversation, "Ctrl Shift O")} onClick=${() => (goToNew(), afterwards())}>
      <${Icon} name="plus" />${t.newConversation}
    </button>
    <label class="search"><${Icon} name="search" />
      <input id="search" type="search" aria-label=${t.search} placeholder=${t.searchShort} value=${query}
        onInput=${(event) => setQuery(event.target.value)} />
    </label>
    <div class="list">
      ${shown.length === 0 && (!wanted || found) && html`<p class="muted">${wanted ? t.nothingFound(query) : t.noConversations}</p>`}
      ${found?.isComplete === false && html`<p class="muted">${t.notAllSearched}</p>`}
      ${byDay(shown).map(
        ([day, some]) => html`<section aria-label=${t.days[day]}>
          <h3>${t.days[day]}</h3>
          <ul>${some.map((one) => html`<${Row} key=${one.name} one=${one} afterwards=${afterwards} />`)}</ul>
        </section>`,
      )}
    </div>
    <${Foot} />
  </nav>`;
}

// The conversations whose messages contain a text, or null until they are found.
function useSearch(wanted) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    setFound(null);
    if (!wanted) return undefined;
    const replaced = new AbortController();
    const { signal: abort } = replaced;
    const unlessReplaced = (act) => (result) => abort.aborted || act(result);
    const begin = () => search(wanted, abort).then(unlessReplaced(setFound), unlessReplaced(failed));
    const timer = setTimeout(begin, SEARCH_AFTER_MS);
    return () => {
      replaced.abort();
      clearTimeout(timer);
    };
  }, [wanted]);
  return found;
}

function Row({ one, afterwards }) {
  const title = titleOf(one);
  const isCurrent = current.value?.name === one.name;
  const isBusy = opened.get(one.name)?.answer.value;
  const removed = () => remove(one.name).then(() => isCurrent && goToNew(), failed);
  const removing = () => confirm(t.deleteConversation, t.deleteConversationText(title), t.delete, removed);
  const actions = [
    { label: t.rename, icon: "edit", action: () => (dialog.value = { kind: "rename", name: one.name, title: one.title ?? "" }) },
    { label: t.export, icon: "export", action: () => exported(one.name).then(download).catch(failed) },
    { label: t.delete, icon: "trash", action: removing },
  ];
  return html`<li class=${isCurrent ? "current" : ""}>
    <button type="button" class="entry" aria-current=${isCurrent ? "page" : null} onClick=${() => (goTo(one.name), afterwards())}>
      <span>${title}</span>${isBusy && html`<i class="busy" role="img" aria-label=${t.answering}></i>`}
    </button>
    <${Menu} label=${t.more(title)} actions=${actions} />
  </li>`;
}

function Foot() {
  const input = useRef(null);
  const chosen = async (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    let number = 0;
    const problems = [];
    for (const file of files) {
      try {
        number += await imported(await file.text());
      } catch (error) {
        problems.push(t.notImported(file.name, error.message));
      }
    }
    if (number > 0 || !problems.length) problems.unshift(t.imported(number));
    notify(problems.join(" · "), problems.length > 1 || number === 0);
  };
  return html`<footer>
    <div class="row">
      <button type="button" class="plain" onClick=${() => input.current.click()}><${Icon} name="import" />${t.import}</button>
      <button type="button" class="plain" disabled=${list.value.length === 0} onClick=${() => exportedAll().then(download).catch(failed)}>
        <${Icon} name="export" />${t.exportAll}
      </button>
    </div>
    <input ref=${input} type="file" accept=".jsonl,.json" multiple hidden onChange=${chosen} aria-label=${t.import} />
    ${isShared.value === false && html`<p class="muted">${t.inBrowser}</p>`}
  </footer>`;
}

const DAY = 24 * 3600;

function byDay(all) {
  const midnight = new Date().setHours(0, 0, 0, 0) / 1000;
  const dayOf = ({ modified }) => {
    if (modified >= midnight) return "today";
    if (modified >= midnight - DAY) return "yesterday";
    if (modified >= midnight - 7 * DAY) return "week";
    return modified >= midnight - 30 * DAY ? "month" : "older";
  };
  return Object.keys(t.days)
    .map((day) => [day, all.filter((one) => dayOf(one) === day)])
    .filter(([, some]) => some.length > 0);
}
