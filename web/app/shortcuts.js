// The keyboard: every shortcut, and what it does.
import { copyMessage, lastOf, regenerate } from "./actions.js";
import { current } from "./conversations.js";
import { dialog } from "./dialogs.js";
import { isSidebarOpen } from "./preferences.js";
import { goToNew, goToStatus } from "./route.js";
import { focusInput } from "./view/composer.js";

const show = (kind) => () => (dialog.value = dialog.value?.kind === kind ? null : { kind });

// Those without an action are the browser's or the input's own.
export const SHORTCUTS = [
  { name: "send", keys: "Enter" },
  { name: "line", keys: "Shift Enter" },
  { name: "edit", keys: "↑" },
  { name: "stop", keys: "Esc" },
  { name: "new", keys: "Ctrl Shift O", action: goToNew },
  { name: "search", keys: "Ctrl K", action: search },
  { name: "sidebar", keys: "Ctrl B", action: () => (isSidebarOpen.value = !isSidebarOpen.value) },
  { name: "focus", keys: "Ctrl I", action: focusInput },
  { name: "regenerate", keys: "Ctrl Shift Enter", action: again },
  { name: "copy", keys: "Ctrl Shift Y", action: () => lastOf("assistant") && copyMessage(lastOf("assistant")) },
  { name: "settings", keys: "Ctrl .", action: show("settings") },
  { name: "status", keys: "Ctrl Shift M", action: goToStatus },
  { name: "shortcuts", keys: "Ctrl /", action: show("shortcuts") },
];

function search() {
  isSidebarOpen.value = true;
  requestAnimationFrame(() => document.getElementById("search")?.focus());
}

function again() {
  const last = lastOf("assistant");
  if (last && !current.value.answer.value) regenerate(current.value, last);
}

const nameOf = (event) =>
  [(event.ctrlKey || event.metaKey) && "Ctrl", event.shiftKey && event.key.length !== 1 && "Shift", event.shiftKey && /^[a-z]$/i.test(event.key) && "Shift", event.key.length === 1 ? event.key.toUpperCase() : event.key]
    .filter(Boolean)
    .join(" ");

export function listen() {
  addEventListener("keydown", (event) => {
    const isModal = document.querySelector("dialog[open]") !== null;
    if (event.key === "Escape" && !isModal && current.value?.answer.value) return current.value.answer.value.stop();
    const shortcut = SHORTCUTS.find(({ keys, action }) => action && keys === nameOf(event));
    if (!shortcut || (isModal && !["settings", "shortcuts"].includes(shortcut.name))) return;
    event.preventDefault();
    shortcut.action();
  });
}
