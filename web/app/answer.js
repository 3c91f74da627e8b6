// Writes an answer of the model into a conversation, as it arrives.
import { ApiError, postJson, request } from "./api.js";
import { say, sayRest } from "./announcer.js";
import { model, watch } from "./server.js";
import { fieldsOf } from "./settings.js";
import { events } from "./sse.js";
import { signal } from "./ui.js";

const PATH = "v1/chat/completions";
// A hidden page has no animation frames.
const HIDDEN_FRAME_MS = 250;
// How often a long answer is saved before it has ended.
const SAVE_MS = 10_000;

// An answer that is being written into the message of `node`.
class Running {
  // `waiting`, `reading`, `reasoning` or `writing`.
  phase = signal("waiting");
  // Counts the frames in which the message has changed.
  frame = signal(0);
  progress = null;
  timings = null;
  started = performance.now();
  firstToken = null;
  reasoningStarted = null;
  isStopped = false;
  id = null;
  #abort = new AbortController();
  #isDrawing = false;

  constructor(node) {
    this.node = node;
    this.reasoningBefore = node.message.page.reasoning_ms ?? 0;
  }

  get signal() {
    return this.#abort.signal;
  }

  stop() {
    this.isStopped = true;
    this.#abort.abort();
  }

  endReasoning() {
    return postJson(`${PATH}/control`, { id: this.id, action: "reasoning_end" });
  }

  draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    const drawn = () => {
      this.#isDrawing = false;
      this.frame.value++;
    };
    if (document.hidden) setTimeout(drawn, HIDDEN_FRAME_MS);
    else requestAnimationFrame(drawn);
  }
}

// Answers the message `parent`.
export function answer(conversation, parent) {
  const node = conversation.tree.append(parent, { role: "assistant", content: "", page: {} });
  return run(conversation, node, messagesTo(conversation, parent), {});
}

// Continues an answer that was stopped or cut off.
export function resume(conversation, node) {
  node.message = { ...node.message, page: { ...node.message.page } };
  return run(conversation, node, messagesTo(conversation, node), { continue_final_message: true });
}

// The messages up to one, as the API takes them.
function messagesTo(conversation, last) {
  return conversation.tree.branch(last).map(({ message: { page, ...message } }) => message);
}

async function run(conversation, node, messages, more) {
  const running = new Running(node);
  const before = sizeOf(node.message);
  conversation.problem.value = null;
  conversation.answer.value = running;
  conversation.model = model.value?.id ?? conversation.model;
  conversation.changed();
  conversation.save();
  const saving = setInterval(() => conversation.save(), SAVE_MS);
  try {
    await stream(running, { messages, ...more, ...fieldsOf(conversation.settings) });
  } catch (error) {
    if (!running.isStopped) failed(conversation, node, error);
  }
  clearInterval(saving);
  finish(conversation, running, before);
}

async function stream(running, fields) {
  const body = {
    ...fields,
    model: model.value?.id,
    stream: true,
    stream_options: { include_usage: true },
    return_progress: true,
    timings_per_token: true,
  };
  const headers = { "content-type": "application/json" };
  const sent = { method: "POST", headers, body: JSON.stringify(body), abort: running.signal };
  const response = await request(PATH, sent);
  let isComplete = false;
  try {
    for await (const chunk of events(response.body)) {
      if (chunk === null) isComplete = true;
      else take(running, chunk);
    }
  } catch (error) {
    if (error instanceof ApiError || running.isStopped) throw error;
    throw new ApiError({ code: "connection_lost", message: error.message });
  }
  if (!isComplete) throw new ApiError({ code: "connection_lost" });
}

function take(running, chunk) {
  if (chunk.error) throw new ApiError({ ...chunk.error, code: chunk.error.code ?? "engine_error" });
  const { message } = running.node;
  running.id = chunk.id;
  if (chunk.timings) running.timings = chunk.timings;
  if (chunk.prompt_progress) {
    running.progress = chunk.prompt_progress;
    if (running.phase.value === "waiting") running.phase.value = "reading";
  }
  const choice = chunk.choices[0];
  const { reasoning_content: reasoning, content, tool_calls: calls } = choice?.delta ?? {};
  if (reasoning || content || calls) running.firstToken ??= performance.now();
  if (reasoning) {
    running.reasoningStarted ??= performance.now();
    running.phase.value = "reasoning";
    message.reasoning_content = (message.reasoning_content ?? "") + reasoning;
  }
  if (content || calls || choice?.finish_reason) endReasoning(running);
  if (content) {
    running.phase.value = "writing";
    message.content += content;
    say(content);
  }
  for (const { index: _, ...call } of calls ?? []) (message.tool_calls ??= []).push(call);
  if (choice?.finish_reason) message.page.finish = choice.finish_reason;
  running.draw();
}

function endReasoning(running) {
  if (running.reasoningStarted === null) return;
  const took = performance.now() - running.reasoningStarted;
  running.node.message.page.reasoning_ms = Math.round(running.reasoningBefore + took);
  running.reasoningBefore += took;
  running.reasoningStarted = null;
}

function failed(conversation, node, error) {
  conversation.problem.value = { error, parent: node.parent };
  const isRefusal = error.status >= 400 && error.status < 500;
  if (!isRefusal) watch();
}

function finish(conversation, running, before) {
  const { node } = running;
  const { page } = node.message;
  endReasoning(running);
  if (running.isStopped) page.finish = "stopped";
  else if (conversation.problem.value) page.finish = "failed";
  if (running.timings) page.timings = shortened(running);
  page.model = model.value?.id;
  page.created = Math.round(Date.now() / 1000);
  sayRest();
  conversation.answer.value = null;
  const isEmpty = sizeOf(node.message) === 0;
  if (isEmpty && before === 0 && (running.isStopped || conversation.problem.value)) conversation.tree.remove(node);
  conversation.changed();
  conversation.save();
}

const sizeOf = ({ content, reasoning_content: reasoning, tool_calls: calls }) =>
  content.length + (reasoning?.length ?? 0) + (calls?.length ?? 0);

// What is kept of the timings.
function shortened({ timings, started, firstToken }) {
  const names = ["queued_ms", "cache_n", "prompt_n", "prompt_ms", "predicted_n", "predicted_ms"];
  const kept = names.map((name) => [name, Math.round(timings[name] ?? 0)]);
  const first = firstToken === null ? {} : { first_token_ms: Math.round(firstToken - started) };
  return { ...Object.fromEntries(kept), ...first };
}
