// The libraries of the views, in one place.
import { h, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export const html = htm.bind(h);
export { render };
export { useEffect, useId, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
export { batch, computed, effect, signal } from "../vendor/signals.js";
