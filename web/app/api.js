// Requests to the server that this page came from, and their errors.
import { signal } from "./ui.js";

const STORED = "ggrun.key";

// Whether a key is asked for: `{wrong}` or null.
export const keyWanted = signal(null);
// Nothing asks again after the user has closed the question, until `askAgain`.
let isDeclined = false;
let key = sessionStorage.getItem(STORED) ?? localStorage.getItem(STORED);
let keyGiven = null;
let resumeWithKey = null;

export class ApiError extends Error {
  constructor({ status = 0, code = "unreachable", message = "", param = null, retryAfter = null, tokens = null }) {
    super(message);
    Object.assign(this, { status, code, param, retryAfter, tokens });
  }
}

export const address = (path) => new URL(path, document.baseURI);

// Sends a request; an answer of another status than 200 to 299 is an ApiError. Asks for a key where one is needed.
export async function request(path, { method = "GET", headers = {}, body, abort } = {}) {
  for (;;) {
    const used = key;
    const authorization = used ? { authorization: `Bearer ${used}` } : {};
    let response;
    try {
      response = await fetch(address(path), { method, headers: { ...authorization, ...headers }, body, signal: abort });
    } catch (cause) {
      if (cause.name === "AbortError") throw cause;
      throw new ApiError({ message: cause.message });
    }
    if (response.ok) return response;
    if (response.status !== 401) throw await refusal(response);
    if (key !== used) continue;
    const stopped = new Promise((resolve) => abort?.addEventListener("abort", () => resolve(true)));
    if (isDeclined || !(await Promise.race([askForKey(Boolean(used)), stopped]))) throw await refusal(response);
  }
}

export const getJson = async (path, options) => (await request(path, options)).json();

export async function postJson(path, body) {
  const headers = { "content-type": "application/json" };
  return (await request(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

async function refusal(response) {
  const { error = {} } = await response.json().catch(() => ({}));
  const retryAfter = Number(response.headers.get("retry-after")) || null;
  const tokens = error.n_prompt_tokens ? { prompt: error.n_prompt_tokens, context: error.n_ctx } : null;
  const { code = "", message = response.statusText, param = null } = error;
  return new ApiError({ status: response.status, code: String(code), message, param, retryAfter, tokens });
}

function askForKey(wrong) {
  keyWanted.value = { wrong };
  keyGiven ??= new Promise((resolve) => (resumeWithKey = resolve));
  return keyGiven;
}

// Uses a key from now on; `keep` stores it beyond this tab.
export function giveKey(text, keep) {
  key = text;
  for (const storage of [localStorage, sessionStorage]) storage.removeItem(STORED);
  (keep ? localStorage : sessionStorage).setItem(STORED, text);
  endQuestion(true);
}

// Ends all requests that wait for a key.
export function declineKey() {
  isDeclined = true;
  endQuestion(false);
}

export const askAgain = () => (isDeclined = false);

function endQuestion(isGiven) {
  keyWanted.value = null;
  resumeWithKey?.(isGiven);
  keyGiven = null;
}
