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
  { name: "status", keys: "Ctrl Shift L", action: goToStatus },
  { name: "shortcuts", keys: "Ctrl /", action: show("shortcuts") },
];

function search() {
  isSidebarOpen.value = true;
  const input = () => document.getElementById("search");
  // It is there after the next frame if the sidebar was closed.
  if (input()) input().focus();
  else requestAnimationFrame(() => input()?.focus());
}

function again() {
  const last = lastOf("assistant");
  if (last && !current.value.answer.value) regenerate(current.value, last);
}

// The name of a combination. Whether a sign needs Shift depends on the keyboard; Alt is for characters and the browser.
function nameOf({ ctrlKey, metaKey, altKey, shiftKey, key }) {
  if (altKey) return null;
  const isSign = key.length === 1 && !/[a-z]/i.test(key);
  const parts = [(ctrlKey || metaKey) && "Ctrl", shiftKey && !isSign && "Shift", key.length === 1 ? key.toUpperCase() : key];
  return parts.filter(Boolean).join(" ");
}

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
