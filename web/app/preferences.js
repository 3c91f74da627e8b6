// What this browser remembers: its theme, and the settings of new conversations.
import { effect, signal } from "./ui.js";

function kept(name, initial) {
  const stored = localStorage.getItem(`ggrun.${name}`);
  const value = signal(stored === null ? initial : JSON.parse(stored));
  effect(() => localStorage.setItem(`ggrun.${name}`, JSON.stringify(value.value)));
  return value;
}

// `auto`, `light` or `dark`.
export const theme = kept("theme", "auto");
export const isReasoningOpen = kept("reasoning", false);
export const isSidebarOpen = kept("sidebar", true);
// The settings of new conversations, with `system` for the system prompt.
export const defaults = kept("defaults", {});

effect(() => {
  document.documentElement.dataset.theme = theme.value;
});
