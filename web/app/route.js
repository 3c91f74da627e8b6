// Which view is shown: it is the fragment of the address, so that reloading and going back work.
import { begin, current, open } from "./conversations.js";
import { notify } from "./dialogs.js";
import { effect, signal } from "./ui.js";

// `chat` or `status`.
export const view = signal("chat");

const hashOf = (name) => (name ? `#/c/${encodeURIComponent(name)}` : "#/");

export const goTo = (name) => (location.hash = hashOf(name));
export const goToStatus = () => (location.hash = "#/status");

// A new conversation, even where one without messages is shown.
export function goToNew() {
  if (location.hash === "#/" || location.hash === "") begin();
  location.hash = "#/";
}

// Shows what the address says.
export async function follow() {
  const [, kind, name] = location.hash.match(/^#\/(\w*)(?:\/(.+))?$/) ?? [];
  view.value = kind === "status" ? "status" : "chat";
  try {
    if (kind === "c" && name) await open(decodeURIComponent(name));
    else if (kind !== "status" || !current.value) begin();
  } catch (error) {
    notify(error.message, true);
    begin();
    history.replaceState(null, "", hashOf(null));
  }
}

// A conversation gets its address when it is first saved.
effect(() => {
  const shown = current.value;
  void shown?.changes.value;
  if (shown?.name && view.peek() === "chat" && location.hash !== hashOf(shown.name)) {
    const isNew = !location.hash.startsWith("#/c/");
    if (isNew) history.replaceState(null, "", hashOf(shown.name));
  }
});
