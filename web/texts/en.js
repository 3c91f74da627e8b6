// All texts of the page, in English.

const count = (number, one, many) => `${whole(number)} ${number === 1 ? one : many}`;
const whole = (number) => Math.round(number).toLocaleString("en");
const tokens = (number) => count(number, "token", "tokens");

// A duration: `42 ms`, `4.2 s`, `12 s`, `3 min 20 s`.
function duration(seconds) {
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  const rest = Math.round(seconds) % 60;
  if (minutes < 90) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// A rate with the digits that mean something.
const rate = (number) => (number > 0 && number < 10 ? number.toFixed(1) : whole(number));

export default {
  language: "en",
  duration,
  whole,
  // With the keys that do the same.
  withKeys: (text, keys) => `${text} (${keys})`,

  // Frame
  conversations: "Conversations",
  newConversation: "New conversation",
  openSidebar: "Show conversations",
  closeSidebar: "Hide conversations",
  settings: "Settings",
  status: "Status",
  shortcuts: "Keyboard shortcuts",
  close: "Close",
  cancel: "Cancel",
  theme: "Theme",
  themes: { auto: "System", light: "Light", dark: "Dark" },

  // Conversations
  search: "Search conversations",
  searchShort: "Search",
  noConversations: "No conversations yet",
  notAllSearched: "Some conversations were searched by title only",
  nothingFound: (query) => `No conversation matches “${query}”`,
  inBrowser: "Stored in this browser only",
  untitled: "Untitled",
  more: (title) => `Actions for “${title}”`,
  rename: "Rename",
  renameTitle: "Rename conversation",
  title: "Title",
  save: "Save",
  export: "Export",
  exportAll: "Export all",
  import: "Import",
  imported: (number) => `Imported ${count(number, "conversation", "conversations")}`,
  notImported: (name, reason) => `Cannot import ${name}: ${reason}`,
  notFound: (name) => `Conversation \`${name}\` not found`,
  notConversation: "not a conversation",
  notMessage: (line) => `line ${line} is not a message`,
  delete: "Delete",
  deleteConversation: "Delete conversation?",
  deleteConversationText: (title) => `“${title}” will be permanently deleted.`,
  days: { today: "Today", yesterday: "Yesterday", week: "Last 7 days", month: "Last 30 days", older: "Older" },
  answering: "answer in progress",

  // The empty page
  welcome: "Ask a question",
  welcomeText: (model) => `Answers come from ${model} on this server.`,
  suggestions: [
    "Explain how a hash map works, with a short example in Python.",
    "Write a polite email that moves a meeting to next week.",
    "What should I check before I sign a rental contract?",
  ],

  // Messages
  messages: "Messages",
  you: "You",
  system: "System prompt",
  model: "Model",
  message: "Message",
  placeholder: "Message the model",
  send: "Send",
  stop: "Stop",
  attach: "Add a text file",
  tooLarge: (name) => `${name} is larger than 1 MiB`,
  notText: (name) => `${name} is not a text file`,
  edit: "Edit",
  editMessage: "Edit message",
  sendAgain: "Send",
  saveAnswer: "Save as alternative",
  copy: "Copy",
  copied: "Copied",
  notCopied: "Not copied",
  copyMessage: "Copy message",
  copyCode: "Copy code",
  code: "code",
  table: "Table",
  formula: "Formula",
  image: (text) => `Image: ${text || "untitled"}`,
  regenerate: "Regenerate",
  answer: "Answer this message",
  continue: "Continue",
  deleteMessage: "Delete message",
  deleteMessageTitle: "Delete message?",
  deleteMessageText: (number) =>
    `This message${number === 0 ? "" : number === 1 ? " and the one after it" : ` and the ${number} after it`} will be permanently deleted.`,
  previous: "Previous alternative",
  next: "Next alternative",
  alternative: (at, of) => `${at} of ${of}`,
  earlier: (number) => `Show earlier messages (${whole(number)} more)`,
  toLatest: "Scroll to the end",
  reasoning: "Reasoning",
  reasoningNow: "Reasoning…",
  reasoned: (ms) => `Reasoning, ${duration(ms / 1000)}`,
  answerNow: "Answer now",
  answerNowFailed: "Cannot end the reasoning",
  empty: "The model returned an empty answer.",
  finish: {
    length: "Cut off: the token limit or the end of the context was reached",
    stopped: "Stopped",
    failed: "Incomplete",
  },

  // Tool calls
  toolCall: "Tool call",
  toolResult: (name) => `Result of ${name}`,
  toolResultPlaceholder: "Paste what the tool returned",
  sendResults: "Send results",

  // Progress
  waiting: "Waiting for a free slot",
  waitingAt: (position, waiting) => `Waiting for a free slot, number ${whole(position)} of ${whole(waiting)} in the queue`,
  sending: "Sending",
  reading: (done, total) => `Reading the prompt, ${whole(done)} of ${tokens(total)}`,
  left: (seconds) => `about ${duration(seconds)} left`,
  perSecond: (number) => `${rate(number)} tokens/s`,
  tokens,
  firstToken: (ms) => `first token after ${duration(ms / 1000)}`,
  reused: (cached, total) => `reused ${whole(cached)} of ${tokens(total)}`,
  readTokens: (number) => `prompt of ${tokens(number)}`,
  context: "Context",
  contextUsed: (used, size) => `${whole(used)} of ${tokens(size)} used`,
  details: "Details of the answer",

  // The server
  connecting: "Connecting to the server",
  downloading: "Downloading the model",
  loading: "Loading the model",
  loadingText: "You can already write your message.",
  percent: (share) => `${Math.round(share * 100)}%`,
  draining: "The server is shutting down",
  unreachable: "The server cannot be reached",
  unreachableHint: "Start it with `ggrun serve`; this page reconnects automatically.",
  failed: "The server has failed",
  failedHint: "See the server log. Start it again; this page reconnects automatically.",

  // The key
  locked: "This server needs a key",
  enterKey: "Enter key",
  keyWrong: "The server refused this key.",
  keyLabel: "Key",
  keyHint: "A key given to the server with `--api-key` or `--api-key-file`.",
  keyKeep: "Remember it in this browser",
  keyUse: "Continue",

  // Problems with an answer
  problem: "No answer",
  problemPartly: "The answer is incomplete",
  retry: "Retry",
  dismiss: "Dismiss",
  notRead: "The conversations cannot be read",
  notSaved: "The conversation was not saved",
  // By code: what is wrong, and what to do.
  problems: {
    context_length_exceeded: ({ tokens: all }) => [
      all
        ? `The conversation has ${tokens(all.prompt)}, but the context holds only ${whole(all.context)}.`
        : "The conversation does not fit in the context.",
      "Start a new conversation, delete earlier messages, or start the server with a larger `-c`.",
    ],
    overloaded: ({ retryAfter }) => [
      "The server is busy.",
      retryAfter ? `Retry in about ${duration(retryAfter)}.` : "Retry in a moment.",
    ],
    rate_limit_exceeded: () => ["You have too many open requests.", "Wait until one of your other answers ends."],
    unreachable: () => ["The server cannot be reached.", "Check that `ggrun serve` is running, then retry."],
    connection_lost: () => [
      "The connection was lost before the answer was complete.",
      "Retry, or continue the answer if it has begun.",
    ],
    invalid_sampling: ({ message }) => [message, "Change the value in the settings."],
    invalid_grammar: ({ message }) => [message, "Correct the JSON schema in the settings."],
    invalid_request: ({ message }) => [message, "Check the settings of this conversation."],
    permission_denied: ({ message }) => [
      message,
      "Open the page at the server's own address, or start the server with `--allowed-host`.",
    ],
    other: ({ message }) => [message || "The server returned an error.", "See the server log."],
  },

  // Settings
  settingsTitle: "Settings of this conversation",
  settingsHint: "Empty fields use the defaults of the server, shown in gray. Only what is set is sent.",
  systemPrompt: "System prompt",
  systemHint: "Instructions for the whole conversation.",
  reset: "Reset",
  resetAll: "Reset all",
  asDefaults: "Use for new conversations",
  asDefaultsDone: "New conversations start with these settings",
  groups: { common: "Sampling", penalties: "Repetition", samplers: "Other samplers" },
  reasoningGroup: "Reasoning",
  formatGroup: "Tools, format and raw fields",
  pageGroup: "This browser",
  isReasoningOpen: "Always unfold reasoning",
  invalidJson: { tools: "Expected a JSON array", json_schema: "Expected a JSON object", raw: "Expected a JSON object" },
  byModel: "Default of the model",
  reasoningModes: { off: "Off", on: "On", low: "Low effort", medium: "Medium effort", high: "High effort" },
  fields: {
    temperature: ["Temperature", "Higher is more varied; 0 always takes the most likely token"],
    top_p: ["Top-p", "Keep the most likely tokens up to this cumulative probability"],
    top_k: ["Top-k", "Keep this many of the most likely tokens; 0 keeps all"],
    min_p: ["Min-p", "Drop tokens less likely than this share of the most likely one"],
    max_tokens: ["Maximum tokens", "Longest answer in tokens; -1 allows the whole context"],
    seed: ["Seed", "Fixes the random choices; -1 chooses a new one each time"],
    stop: ["Stop texts", "One per line; an answer ends before the first that it contains"],
    repeat_penalty: ["Repeat penalty", "1 is off"],
    repeat_last_n: ["Repeat window", "Tokens the penalties look at; -1 is the context"],
    presence_penalty: ["Presence penalty", "0 is off"],
    frequency_penalty: ["Frequency penalty", "0 is off"],
    dry_multiplier: ["DRY multiplier", "0 is off"],
    dry_base: ["DRY base", "Base of the penalty"],
    dry_allowed_length: ["DRY allowed length", "Longer repetitions are penalized"],
    dry_penalty_last_n: ["DRY window", "-1 is the context"],
    typical_p: ["Typical-p", "1 is off"],
    top_n_sigma: ["Top-nσ", "-1 is off"],
    xtc_probability: ["XTC probability", "0 is off"],
    xtc_threshold: ["XTC threshold", "Minimum probability of a removable token"],
    dynatemp_range: ["Dynamic temperature range", "0 is off"],
    dynatemp_exponent: ["Dynamic temperature exponent", ""],
    mirostat: ["Mirostat", "0 is off, 1 or 2 the version"],
    mirostat_tau: ["Mirostat τ", "Target entropy"],
    mirostat_eta: ["Mirostat η", "Learning rate"],
    samplers: ["Order of samplers", "Separated by commas"],
    reasoning: ["Reasoning", "For models that can turn it on and off"],
    reasoning_budget: ["Reasoning budget", "Maximum reasoning tokens; -1 is unlimited"],
    tools: ["Tools", "A JSON array as in OpenAI's API; you enter the results of calls"],
    json_schema: ["JSON schema", "The answer is JSON that matches it"],
    raw: ["Raw JSON", "Further fields of the request; they override the others"],
  },

  // Status
  statusTitle: "Server status",
  back: "Back to the conversation",
  noMetrics: "The server does not publish metrics.",
  noMetricsHint: "Start it with `--metrics`.",
  metricsFailed: "Cannot read the metrics",
  collecting: "Collecting the first samples",
  lastMinutes: (minutes) => (minutes < 1 ? "last minute" : `last ${minutes} min`),
  upTo: (value) => `up to ${value}`,
  charts: {
    generation: "Tokens written",
    prompt: "Prompt tokens read",
    slots: "Requests running",
    waiting: "Requests waiting",
    reuse: "Prompt tokens reused",
    memory: "State cache",
  },
  busy: (running, slots) => `${whole(running)} of ${count(slots, "slot", "slots")}`,
  bytes: (bytes) =>
    bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(bytes < 1e8 ? 1 : 0)} MiB`,
  latencies: "Latencies",
  latency: "Latency",
  median: "Median",
  p95: "p95",
  below: (value) => `< ${value}`,
  noneYet: "–",
  latencyNames: {
    ggrun_time_to_first_token_seconds: "Time to first token",
    ggrun_inter_token_latency_seconds: "Between tokens",
    ggrun_request_queue_time_seconds: "In the queue",
    ggrun_request_prefill_time_seconds: "Reading the prompt",
    ggrun_e2e_request_latency_seconds: "Whole request",
  },
  slotsTitle: "Slots",
  noSlots: "The server does not publish its slots (`--no-slots`).",
  slot: "Slot",
  slotState: "State",
  slotBusy: "busy",
  slotIdle: "idle",
  slotPrompt: "Prompt",
  slotWritten: "Written",
  slotCached: "Reusable",
  totals: "Since the start",
  totalNames: {
    ggrun_prompt_tokens_total: "Prompt tokens",
    ggrun_generation_tokens_total: "Tokens written",
    answered: "Answers",
    refused: "Refused",
    failed: "Failed",
    cancelled: "Canceled",
  },
  modelFacts: "Model",
  facts: { parameters: "Parameters", size: "Size", context: "Context per slot", trained: "Training context" },
  parameters: (number) =>
    number >= 1e9 ? `${(number / 1e9).toFixed(1)} billion` : `${(number / 1e6).toFixed(1)} million`,

  // Shortcuts
  shortcutNames: {
    send: "Send the message",
    line: "New line",
    stop: "Stop the answer, or close what is open",
    new: "New conversation",
    search: "Search conversations",
    sidebar: "Show or hide conversations",
    settings: "Settings",
    status: "Status",
    edit: "Edit your last message (in an empty input)",
    regenerate: "Regenerate the last answer",
    copy: "Copy the last answer",
    focus: "Go to the input",
    shortcuts: "This list",
  },
};
