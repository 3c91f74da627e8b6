// The answer for screen readers: a sentence at a time.
import { signal } from "./ui.js";

// The last sentences, each with a number of its own.
export const sentences = signal([]);
const KEPT = 6;
const END = /[.!?…:][)"'”’*_`]*\s|\n+/g;

let pending = "";
let count = 0;

export function say(text) {
  pending += text;
  let end = 0;
  for (const match of pending.matchAll(END)) end = match.index + match[0].length;
  if (end) {
    speak(pending.slice(0, end));
    pending = pending.slice(end);
  }
}

// Says what has no end yet.
export function sayRest() {
  speak(pending);
  pending = "";
}

// Says a text of its own.
export function speak(text) {
  const plain = text.replace(/[*_`#|]+/g, "").trim();
  if (plain) sentences.value = [...sentences.value, { id: ++count, text: plain }].slice(-KEPT);
}
