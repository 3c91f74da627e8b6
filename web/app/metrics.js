// The server's metrics over the last minutes: its text format, rates and quantiles.
import { request } from "./api.js";
import { signal } from "./ui.js";

const EVERY_MS = 2000;
// Samples that are kept: ten minutes.
const KEPT = 300;

// `{time, values}`, the oldest first. A value's name is as in the text, with its labels.
export const samples = signal([]);
// Why they are missing: an ApiError, or null.
export const problem = signal(null);

let timer = null;
let users = 0;

export function sampling() {
  if (users++ === 0) {
    timer = setInterval(sample, EVERY_MS);
    sample();
  }
  return () => {
    if (--users === 0) clearInterval(timer);
  };
}

async function sample() {
  try {
    const values = parse(await (await request("metrics")).text());
    samples.value = [...samples.value, { time: Date.now() / 1000, values }].slice(-KEPT);
    problem.value = null;
  } catch (error) {
    problem.value = error;
    if (error.status === 501) clearInterval(timer);
  }
}

export function parse(text) {
  const values = new Map();
  for (const line of text.split("\n")) {
    const space = line.lastIndexOf(" ");
    if (space > 0 && !line.startsWith("#")) values.set(line.slice(0, space), Number(line.slice(space + 1)));
  }
  return values;
}

// How fast a counter rose before each sample, a second.
export function rates(all, name) {
  return all.slice(1).map(({ time, values }, at) => {
    const passed = time - all[at].time;
    const risen = (values.get(name) ?? 0) - (all[at].values.get(name) ?? 0);
    // A server that was started again begins at zero.
    return { time, value: passed > 0 ? Math.max(risen, 0) / passed : 0 };
  });
}

export const gauge = (all, name) => all.map(({ time, values }) => ({ time, value: values.get(name) ?? 0 }));

// A quantile of what a histogram has counted, in a straight line within a bucket: `{value, bound}`, with
// `isFirst` if nothing is known but that it is below that bound. Null without any.
export function quantile(values, name, share) {
  const prefix = `${name}_bucket{le="`;
  const buckets = [...values.keys()]
    .filter((key) => key.startsWith(prefix))
    .map((key) => ({
      bound: Number(key.slice(prefix.length, -2).replace("+Inf", "Infinity")),
      count: values.get(key),
    }))
    .sort((a, b) => a.bound - b.bound);
  const total = buckets.at(-1)?.count ?? 0;
  if (total <= 0) return null;
  const at = buckets.findIndex(({ count }) => count >= share * total);
  const { bound, count } = buckets[at];
  const before = buckets[at - 1] ?? { bound: 0, count: 0 };
  if (bound === Infinity) return { value: before.bound, bound, isFirst: false };
  const value = before.bound + ((share * total - before.count) / (count - before.count || 1)) * (bound - before.bound);
  return { value, bound, isFirst: at === 0 };
}
