// The answer for screen readers: a sentence at a time.
import { signal } from "./ui.js";

// The last sentences, each with a number of its own.
export const sentences = signal([]);
const KEPT = 6;
const END = /[.!?…:][)"'”’*_`]*\s|\n+/g;

let count = 0;

// A longer text without the end of a sentence is read as it is.
const LONGEST = 1000;

export function endOfSentences(text) {
  let end = 0;
  for (const match of text.matchAll(END)) end = match.index + match[0].length;
  return end || (text.length > LONGEST ? text.length : 0);
}

export function speak(text) {
  const plain = text.replace(/[*_`#|]+/g, "").trim();
  if (plain) sentences.value = [...sentences.value, { id: ++count, text: plain }].slice(-KEPT);
}
