// Writes an answer of the model into a conversation, as it arrives.
import { ApiError, postJson, request } from "./api.js";
import { endOfSentences, speak } from "./announcer.js";
import { current } from "./conversations.js";
import { isEmpty, textOf } from "./format.js";
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
  // The place in the queue, and how far the prompt was read: the latest, and the first of this reading.
  queue = null;
  progress = null;
  readFrom = null;
  timings = null;
  started = performance.now();
  firstToken = null;
  reasoningStarted = null;
  isStopped = false;
  // What is not read aloud yet, as its sentence has no end.
  unsaid = "";
  id = null;
  #abort = new AbortController();
  #isDrawing = false;

  constructor(conversation, node) {
    this.conversation = conversation;
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

  // Reads a text aloud, up to `end`, if its conversation is shown.
  say(end) {
    if (current.value === this.conversation) speak(this.unsaid.slice(0, end));
    this.unsaid = this.unsaid.slice(end);
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

export function answer(conversation, parent) {
  if (conversation.answer.value) return undefined;
  const node = conversation.tree.append(parent, { role: "assistant", content: "", page: {} });
  return run(conversation, node, messagesTo(conversation, parent), {}, () => answer(conversation, parent));
}

// Continues an answer that was stopped or cut off.
export function resume(conversation, node) {
  const { answer: running, tree } = conversation;
  if (running.value) return undefined;
  // It was removed if it was empty.
  if (!tree.nodes.includes(node)) return answer(conversation, node.parent);
  tree.select(node);
  node.message = { ...node.message, content: textOf(node.message.content), page: { ...node.message.page } };
  const more = { continue_final_message: true };
  return run(conversation, node, messagesTo(conversation, node), more, () => resume(conversation, node));
}

// The messages up to one, as the API takes them.
function messagesTo(conversation, last) {
  return conversation.tree.branch(last).map(({ message: { page, ...message } }) => message);
}

async function run(conversation, node, messages, more, retry) {
  const running = new Running(conversation, node);
  conversation.problem.value = null;
  conversation.answer.value = running;
  conversation.model = model.value?.id ?? conversation.model;
  conversation.save();
  const saving = setInterval(() => conversation.save(), SAVE_MS);
  try {
    await stream(running, { messages, ...more, ...fieldsOf(conversation.settings) });
  } catch (error) {
    if (!running.isStopped) failed(conversation, node, error, retry);
  }
  clearInterval(saving);
  finish(conversation, running);
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
  if (chunk.queue) running.queue = chunk.queue;
  if (chunk.prompt_progress) {
    const { cache, processed } = chunk.prompt_progress;
    // After a failed step, tokens are read again.
    const continues = running.progress?.cache === cache && running.progress?.processed <= processed;
    if (!continues) running.readFrom = chunk.prompt_progress;
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
    running.unsaid += content;
    running.say(endOfSentences(running.unsaid));
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

function failed(conversation, node, error, retry) {
  conversation.problem.value = { error, parent: node.parent, retry };
  const isRefusal = error.status >= 400 && error.status < 500 && error.status !== 401;
  if (!isRefusal) watch();
}

function finish(conversation, running) {
  const { node } = running;
  const { page } = node.message;
  endReasoning(running);
  if (running.isStopped) page.finish = "stopped";
  else if (conversation.problem.value) page.finish = "failed";
  if (running.timings) page.timings = shortened(running);
  page.model = model.value?.id;
  page.created = Math.round(Date.now() / 1000);
  running.say();
  conversation.answer.value = null;
  if (isEmpty(node.message) && (running.isStopped || conversation.problem.value)) conversation.tree.remove(node);
  conversation.save();
}

function shortened({ timings, started, firstToken }) {
  const names = ["queued_ms", "cache_n", "prompt_n", "prompt_ms", "predicted_n", "predicted_ms"];
  const kept = names.map((name) => [name, Math.round(timings[name] ?? 0)]);
  const first = firstToken === null ? {} : { first_token_ms: Math.round(firstToken - started) };
  return { ...Object.fromEntries(kept), ...first };
}
