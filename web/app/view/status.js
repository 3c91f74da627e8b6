// What the server does, from its own metrics.
import { getJson } from "../api.js";
import { current } from "../conversations.js";
import { gauge, problem, quantile, rates, samples, sampling } from "../metrics.js";
import { goTo } from "../route.js";
import { model, props } from "../server.js";
import { t } from "../texts.js";
import { html, useEffect, useState } from "../ui.js";
import { Chart } from "./chart.js";
import { IconButton } from "./icons.js";
import { Rich } from "./rich.js";

const SLOTS_EVERY_MS = 2000;

export function Status() {
  useEffect(sampling, []);
  return html`<main class="status" aria-labelledby="status-title">
    <header class="bar">
      <${IconButton} icon="left" label=${t.back} onClick=${() => goTo(current.value?.name)} />
      <h1 id="status-title">${t.statusTitle}</h1>
    </header>
    <div class="status-body" tabindex="0">
      <${Facts} />
      <${Metrics} />
      <${Slots} />
    </div>
  </main>`;
}

function Facts() {
  const found = model.value;
  if (!found?.meta) return null;
  const { n_params, size, n_ctx, n_ctx_train } = found.meta;
  const facts = {
    parameters: t.parameters(n_params),
    size: t.bytes(size),
    context: t.tokens(n_ctx),
    trained: t.tokens(n_ctx_train),
  };
  return html`<section aria-label=${t.modelFacts}>
    <h2>${found.display_name} <small class="muted">${props.value?.build_info}</small></h2>
    <dl class="facts card">
      ${Object.entries(facts).map(([name, value]) => html`<div><dt>${t.facts[name]}</dt><dd>${value}</dd></div>`)}
    </dl>
  </section>`;
}

function Metrics() {
  const all = samples.value;
  if (problem.value) {
    const { status, code, message } = problem.value;
    const [title, hint] =
      status === 501 ? [t.noMetrics, t.noMetricsHint] : code === "unreachable" ? [t.unreachable, t.unreachableHint] : [t.metricsFailed, message];
    return html`<section class="card note" role="status">
      <strong>${title}</strong>
      <p class="muted"><${Rich} text=${hint} /></p>
    </section>`;
  }
  if (all.length < 2) return html`<p class="muted" role="status">${t.collecting}</p>`;
  const slots = all.at(-1).values.get("ggrun_slots") ?? 0;
  const rate = (name) => rates(all, `ggrun_${name}`);
  return html`
    <section class="charts">
      <${Chart} title=${t.charts.generation} points=${rate("generation_tokens_total")} format=${t.perSecond} />
      <${Chart} title=${t.charts.prompt} points=${rate("prompt_tokens_total")} format=${t.perSecond} />
      <${Chart} title=${t.charts.slots} points=${gauge(all, "ggrun_num_requests_running")} format=${(value) => t.busy(value, slots)}
        formatTop=${t.whole} most=${slots} />
      <${Chart} title=${t.charts.waiting} points=${gauge(all, "ggrun_num_requests_waiting")} format=${t.whole} most=${4} />
      <${Chart} title=${t.charts.reuse} points=${reuse(all)} format=${t.percent} most=${1} />
      <${Chart} title=${t.charts.memory} points=${gauge(all, "ggrun_state_cache_bytes")} format=${t.bytes} />
    </section>
    <${Latencies} all=${all} />
    <${Totals} values=${all.at(-1).values} />
  `;
}

// The share of prompt tokens that were reused, since the first sample.
function reuse(all) {
  const of = ({ values }) => [values.get("ggrun_prefix_cache_hits_total") ?? 0, values.get("ggrun_prefix_cache_queries_total") ?? 0];
  const [hits, queries] = of(all[0]);
  return all.map((sample) => {
    const [hitsNow, queriesNow] = of(sample);
    return { time: sample.time, value: queriesNow > queries ? (hitsNow - hits) / (queriesNow - queries) : 0 };
  });
}

function Latencies({ all }) {
  const { values } = all.at(-1);
  const shown = (name, share) => {
    const found = quantile(values, name, share);
    if (!found) return t.noneYet;
    return found.isFirst ? t.below(t.duration(found.bound)) : t.duration(found.value);
  };
  return html`<section>
    <h2>${t.latencies} <small class="muted">${t.totals}</small></h2>
    <div class="card table" tabindex="0" role="region" aria-label=${t.latencies}>
      <table>
        <thead><tr><th>${t.latency}</th><th class="number">${t.median}</th><th class="number">${t.p95}</th></tr></thead>
        <tbody>
          ${Object.entries(t.latencyNames).map(
            ([name, label]) => html`<tr>
              <th scope="row">${label}</th>
              <td class="number">${shown(name, 0.5)}</td>
              <td class="number">${shown(name, 0.95)}</td>
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function Totals({ values }) {
  const sum = (prefix) => [...values].filter(([name]) => name.startsWith(prefix)).reduce((total, [, value]) => total + value, 0);
  const prefixes = {
    answered: "ggrun_request_success_total",
    refused: "ggrun_requests_refused_total",
    failed: "ggrun_requests_failed_total",
    cancelled: "ggrun_cancelled_total",
  };
  return html`<section>
    <h2>${t.totals}</h2>
    <dl class="facts card">
      ${Object.entries(t.totalNames).map(
        ([name, label]) => html`<div><dt>${label}</dt><dd>${t.whole(prefixes[name] ? sum(prefixes[name]) : (values.get(name) ?? 0))}</dd></div>`,
      )}
    </dl>
  </section>`;
}

function Slots() {
  const [slots, setSlots] = useState([]);
  const [isOff, setOff] = useState(false);
  useEffect(() => {
    const read = () => getJson("slots").then(setSlots, (error) => error.status === 501 && setOff(true));
    const timer = setInterval(read, SLOTS_EVERY_MS);
    read();
    return () => clearInterval(timer);
  }, []);
  const row = ({ id, is_processing: isBusy, n_prompt_tokens: prompt, n_cached: cached, next_token: [next] }) => html`<tr>
    <th scope="row">${id}</th>
    <td><span class="state ${isBusy ? "on" : ""}">${isBusy ? t.slotBusy : t.slotIdle}</span></td>
    <td class="number">${isBusy ? t.whole(prompt) : t.noneYet}</td>
    <td class="number">${isBusy ? t.whole(next.n_decoded) : t.noneYet}</td>
    <td class="number">${t.whole(cached)}</td>
  </tr>`;
  return html`<section>
    <h2>${t.slotsTitle}</h2>
    ${isOff && html`<p class="muted"><${Rich} text=${t.noSlots} /></p>`}
    ${slots.length > 0 &&
    html`<div class="card table" tabindex="0" role="region" aria-label=${t.slotsTitle}>
      <table>
        <thead>
          <tr>
            <th>${t.slot}</th>
            <th>${t.slotState}</th>
            ${[t.slotPrompt, t.slotWritten, t.slotCached].map((name) => html`<th class="number">${name}</th>`)}
          </tr>
        </thead>
        <tbody>${slots.map(row)}</tbody>
      </table>
    </div>`}
  </section>`;
}
