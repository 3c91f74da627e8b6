// Colors of code. A worker makes them, so that a text that takes long does not hold up the page: it stays as it is.

const LONGEST_MS = 3000;
// Failures after which all that waits stays as it is: it may take as long.
const MOST_FAILED = 3;

let worker = null;
let timer = null;
// The code that is being colored, and what waits for it.
let job = null;
let waiting = [];
// Failures since nothing waited.
let failed = 0;
// What was colored last: it may be the beginning of code that has grown.
let last = null;

export function highlight(code, language) {
  const text = code.textContent.replace(/\n$/, "");
  if (last?.language === language && text.startsWith(last.text)) show(code, last.html, text.slice(last.text.length));
  waiting.push({ code, language, text });
  next();
}

function show(code, html, rest) {
  code.innerHTML = html;
  code.append(`${rest}\n`);
}

function next() {
  if (job) return;
  // Code that has grown since was replaced.
  do job = waiting.shift();
  while (job && !job.code.isConnected);
  if (!job) return void (failed = 0);
  worker ??= started();
  worker.postMessage({ text: job.text, language: job.language });
}

function started() {
  const made = new Worker(new URL("highlighter.js", import.meta.url), { type: "module" });
  made.onmessage = ({ data: { html } }) => {
    if (html === undefined) timer = setTimeout(stop, LONGEST_MS);
    else done(html);
  };
  made.onerror = stop;
  return made;
}

// Ends a worker that takes too long or cannot be loaded.
function stop() {
  worker.terminate();
  worker = null;
  if (++failed >= MOST_FAILED) waiting = [];
  done(null);
}

function done(html) {
  clearTimeout(timer);
  const { code, language, text } = job;
  job = null;
  if (html !== null) {
    last = { language, text, html };
    show(code, html, "");
  }
  next();
}
