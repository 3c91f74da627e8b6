// The figures of an answer that has ended, and the progress of one that is being written.
import { contextSize } from "../server.js";
import { t } from "../texts.js";
import { html, useEffect, useState } from "../ui.js";

// A slot that is free takes a request at once.
const SOON_MS = 1000;

const perSecond = (tokens, ms) => (ms > 0 ? (tokens / ms) * 1000 : 0);
// The first token of an answer takes no time of its own.
const speed = ({ predicted_n, predicted_ms }) => perSecond(predicted_n - 1, predicted_ms);

export function Figures({ page }) {
  const timings = page?.timings;
  if (!timings) return null;
  const { predicted_n, predicted_ms, prompt_n, cache_n, first_token_ms } = timings;
  const all = [
    predicted_ms > 0 && predicted_n > 1 && t.perSecond(speed(timings)),
    t.tokens(predicted_n),
    first_token_ms !== undefined && t.firstToken(first_token_ms),
    cache_n > 0 ? t.reused(cache_n, cache_n + prompt_n) : t.readTokens(prompt_n),
  ];
  return html`<p class="figures" aria-label=${t.details}>${all.filter(Boolean).join(" · ")}</p>`;
}

export function Progress({ running }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 500);
    return () => clearInterval(timer);
  }, []);
  void running.frame.value;
  const phase = running.phase.value;
  const isQueued = phase === "waiting" && performance.now() - running.started > SOON_MS;
  const { queue, progress, timings } = running;
  if (phase === "waiting") return html`<p class="progress"><${Dots} />${queue ? t.waitingAt(queue.position, queue.waiting) : isQueued ? t.waiting : t.sending}</p>`;
  if (phase === "reading" && progress) {
    const { total, cache, processed } = progress;
    const share = total > 0 ? processed / total : 0;
    return html`<div class="progress">
      <${Dots} />
      <span>${t.reading(processed, total)}${cache > 0 && ` · ${t.reused(cache, total)}`}${left(progress, running.readFrom)}</span>
      <progress max="1" value=${share} aria-label=${t.reading(processed, total)}></progress>
    </div>`;
  }
  const rate = timings && speed(timings);
  return html`<p class="progress"><${Dots} />
    ${timings && [t.tokens(timings.predicted_n), rate > 0 && t.perSecond(rate)].filter(Boolean).join(" · ")}
  </p>`;
}

const Dots = () => html`<span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>`;

function left({ total, processed, time_ms }, from) {
  const [done, ms] = [processed - from.processed, time_ms - from.time_ms];
  if (done <= 0 || ms < 1000) return "";
  return ` · ${t.left((ms / done) * (total - processed) / 1000)}`;
}

// How much of the context the branch that is shown uses, as far as it is known.
export function ContextMeter({ conversation }) {
  void conversation.changes.value;
  const live = conversation.answer.value;
  void live?.frame.value;
  const size = contextSize.value;
  const known = live?.timings ?? conversation.tree.branch().findLast((node) => node.message.page?.timings)?.message.page.timings;
  if (!size || !known) return null;
  const used = known.cache_n + known.prompt_n + known.predicted_n;
  const text = t.contextUsed(used, size);
  const share = Math.min(used / size, 1);
  return html`<div class="context ${share > 0.85 ? "tight" : ""}" title=${text}>
    <meter max="1" high="0.85" value=${share} aria-label="${t.context}: ${text}"></meter>
    <span aria-hidden="true">${t.context} ${t.percent(share)}</span>
  </div>`;
}
