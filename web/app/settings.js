// The settings of a conversation as fields of a request. Only what is set is sent.
import { isObject } from "./tree.js";

const number = (key, step, min, max) => ({ key, kind: "number", step, min, max });

// Groups of settings that `/props` has defaults for.
export const GROUPS = [
  {
    name: "common",
    fields: [
      number("temperature", 0.05, 0, 5),
      number("top_p", 0.01, 0, 1),
      number("top_k", 1, 0),
      number("min_p", 0.01, 0, 1),
      number("max_tokens", 1, -1),
      number("seed", 1, -1),
      { key: "stop", kind: "lines" },
    ],
  },
  {
    name: "penalties",
    fields: [
      number("repeat_penalty", 0.01, 0),
      number("repeat_last_n", 1, -1),
      number("presence_penalty", 0.05, -2, 2),
      number("frequency_penalty", 0.05, -2, 2),
      number("dry_multiplier", 0.05, 0),
      number("dry_base", 0.05, 0),
      number("dry_allowed_length", 1, 0),
      number("dry_penalty_last_n", 1, -1),
    ],
  },
  {
    name: "samplers",
    fields: [
      number("typical_p", 0.01, 0, 1),
      number("top_n_sigma", 0.1, -1),
      number("xtc_probability", 0.05, 0, 1),
      number("xtc_threshold", 0.05, 0, 1),
      number("dynatemp_range", 0.05, 0),
      number("dynatemp_exponent", 0.05, 0),
      number("mirostat", 1, 0, 2),
      number("mirostat_tau", 0.1, 0),
      number("mirostat_eta", 0.01, 0),
      { key: "samplers", kind: "list" },
    ],
  },
];

export const REASONING = ["off", "on", "low", "medium", "high"];
// Settings that are JSON, and what a value of theirs must be.
export const JSON_FIELDS = {
  tools: Array.isArray,
  json_schema: isObject,
  raw: isObject,
};

// The value of a text, or undefined if it is not what the setting must be.
export function jsonOf(key, text) {
  try {
    const value = JSON.parse(text);
    return JSON_FIELDS[key](value) ? value : undefined;
  } catch {
    return undefined;
  }
}

// The fields of a request. JSON that is wrong is left out.
export function fieldsOf({ reasoning, raw, ...plain }) {
  const [tools, json_schema] = ["tools", "json_schema"].map((key) => jsonOf(key, plain[key]));
  return { ...plain, ...reasoningFields(reasoning), tools, json_schema, ...jsonOf("raw", raw) };
}

function reasoningFields(reasoning) {
  if (!reasoning) return {};
  if (reasoning === "on") return { chat_template_kwargs: { enable_thinking: true } };
  return { reasoning_effort: reasoning === "off" ? "none" : reasoning };
}

// A default of the server as text, without digits that only its 32 bits have.
export function shownDefault(key, params) {
  const value = params?.[key];
  if (value === undefined || value === null) return "";
  // The server's number for a random one.
  if (key === "seed" && value === 0xffffffff) return "-1";
  if (Array.isArray(value)) return value.join(", ");
  return typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value);
}
