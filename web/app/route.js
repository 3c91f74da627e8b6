// Which view is shown: it is the fragment of the address, so that reloading and going back work.
import { begin, current, open } from "./conversations.js";
import { notify } from "./dialogs.js";
import { isReady } from "./server.js";
import { effect, signal } from "./ui.js";

// `chat` or `status`.
export const view = signal("chat");

const hashOf = (name) => (name ? `#/c/${encodeURIComponent(name)}` : "#/");

export const goTo = (name) => (location.hash = hashOf(name));
export const goToStatus = () => (location.hash = "#/status");

// A new conversation at once, even where one without messages is shown.
export function goToNew() {
  view.value = "chat";
  begin();
  location.hash = "#/";
}

// Whether the address could not be followed as the server cannot be reached.
let isPending = false;
export const followAgain = () => isPending && follow();

export async function follow() {
  isPending = false;
  const [, kind, name] = location.hash.match(/^#\/(\w*)(?:\/(.+))?$/) ?? [];
  view.value = kind === "status" ? "status" : "chat";
  try {
    if (kind !== "status" || !current.value) await open(kind === "c" && name ? decodeURIComponent(name) : null);
  } catch (error) {
    notify(error.message, true);
    begin();
    // Without the server it is tried again.
    isPending = error.status !== 404 && !isReady.value;
    if (!isPending) history.replaceState(null, "", hashOf(null));
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
