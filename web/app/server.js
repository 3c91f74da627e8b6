// What the server is, and whether it is ready.
import { ApiError, address, getJson } from "./api.js";
import { batch, computed, signal } from "./ui.js";

const POLL_MS = 700;

// `connecting`, `downloading`, `loading`, `ready`, `draining`, `locked`, `failed` or `unreachable`; with `progress` and `left`
// while downloading and loading.
export const state = signal({ phase: "connecting" });
export const props = signal(null);
export const model = signal(null);
export const isReady = computed(() => state.value.phase === "ready");
export const contextSize = computed(() => props.value?.default_generation_settings.n_ctx ?? null);

let watching = null;

// Polls until the server is ready.
export function watch() {
  watching ??= poll().finally(() => (watching = null));
  return watching;
}

async function poll() {
  const begun = { phase: null };
  for (;;) {
    const now = await health(begun);
    if (now.phase === "ready") {
      await describe(now);
      return;
    }
    state.value = now;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function health(begun) {
  let response;
  try {
    response = await fetch(address("health"));
  } catch {
    return { phase: "unreachable" };
  }
  if (response.ok) return { phase: "ready" };
  const body = await response.json().catch(() => ({}));
  if (response.status === 503 && "progress" in body) {
    const now = body.status === "downloading" ? { phase: "downloading" } : { phase: "loading" };
    return withProgress(now, body.progress, begun);
  }
  if (response.status === 503) return { phase: "draining" };
  return { phase: "failed", message: body.error?.message ?? "" };
}

// The time left, from how fast it went since the first look at this phase.
function withProgress(now, progress, begun) {
  if (begun.phase !== now.phase) Object.assign(begun, now, { progress, time: performance.now() });
  const done = progress - begun.progress;
  const passed = performance.now() - begun.time;
  const left = done > 0.02 ? (passed * (1 - progress)) / done / 1000 : null;
  return { ...now, progress, left };
}

async function describe(ready) {
  try {
    const [found, models] = await Promise.all([getJson("props"), getJson("v1/models")]);
    batch(() => {
      props.value = found;
      model.value = models.data[0];
      state.value = ready;
    });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 401) return void (state.value = { phase: "locked" });
    state.value = { phase: error.code === "unreachable" ? "unreachable" : "failed", message: error.message };
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    await poll();
  }
}
