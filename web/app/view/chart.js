// A line over the last minutes.
import { t } from "../texts.js";
import { html } from "../ui.js";

const WIDTH = 300;
const HEIGHT = 64;

// `points` are `{time, value}`; `most` is the top of the scale unless a value is higher, and `formatTop` shows it.
export function Chart({ title, points, format, formatTop = format, most = 0 }) {
  const last = points.at(-1)?.value ?? 0;
  const top = Math.max(most, ...points.map(({ value }) => value)) || 1;
  const [from, to] = [points[0]?.time ?? 0, points.at(-1)?.time ?? 1];
  const x = (time) => (to > from ? ((time - from) / (to - from)) * WIDTH : 0);
  const y = (value) => HEIGHT - 2 - (value / top) * (HEIGHT - 6);
  const line = points.map(({ time, value }) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
  const minutes = Math.round((to - from) / 60);
  return html`<figure class="card chart">
    <figcaption><span>${title}</span><strong>${format(last)}</strong></figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}: ${format(last)}">
      ${points.length > 1 &&
      html`<path class="area" d="M${x(from)} ${HEIGHT}L${line}L${WIDTH} ${HEIGHT}Z" /><path class="line" d="M${line}" />`}
    </svg>
    <div class="row scale"><span>${t.lastMinutes(minutes)}</span><span class="space"></span><span>${t.upTo(formatTop(top))}</span></div>
  </figure>`;
}
