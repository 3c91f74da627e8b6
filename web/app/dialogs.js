// Which dialog is open, and messages that vanish by themselves.
import { speak } from "./announcer.js";
import { signal } from "./ui.js";

const NOTICE_MS = 4000;

// `{kind, …}` or null: settings, shortcuts, confirm, rename.
export const dialog = signal(null);
export const notice = signal(null);

let timer = null;

export function notify(text, isProblem = false) {
  notice.value = { text, isProblem };
  speak(text);
  clearTimeout(timer);
  timer = setTimeout(() => (notice.value = null), isProblem ? 3 * NOTICE_MS : NOTICE_MS);
}

export function confirm(title, text, action, onYes) {
  dialog.value = { kind: "confirm", title, text, action, onYes };
}

export const closeDialog = () => (dialog.value = null);
