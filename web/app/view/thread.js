// The messages of the branch that is shown. It stays at its end while an answer is written, unless the user scrolls up.
import { t } from "../texts.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../ui.js";
import { Empty } from "./empty.js";
import { Progress } from "./figures.js";
import { IconButton } from "./icons.js";
import { Message } from "./message.js";
import { Problem } from "./problem.js";

// Messages that are shown at first, and more of them each time.
const SHOWN = 100;
// Pixels from the end that count as the end.
const NEAR = 48;

export function Thread({ conversation, editing, setEditing, suggest }) {
  void conversation.changes.value;
  const running = conversation.answer.value;
  const branch = conversation.tree.branch();
  const [number, setNumber] = useState(SHOWN);
  const [frame, content] = [useRef(null), useRef(null)];
  const isPinned = useRef(true);
  const [isAway, setAway] = useState(false);
  const toEnd = () => {
    if (!frame.current) return;
    isPinned.current = true;
    frame.current.scrollTop = frame.current.scrollHeight;
  };
  const top = useRef(0);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = frame.current;
    const left = scrollHeight - scrollTop - clientHeight;
    // Any step up counts, as the next part of an answer would undo small ones.
    isPinned.current = left < (scrollTop < top.current ? 1 : NEAR);
    top.current = scrollTop;
    setAway(!isPinned.current);
  };
  useEffect(() => {
    const observer = new ResizeObserver(() => isPinned.current && toEnd());
    observer.observe(content.current);
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);
  // Pixels from the end to where earlier messages are to be added, so that what is shown stays where it is.
  const fromEnd = useRef(null);
  const showEarlier = () => {
    fromEnd.current = frame.current.scrollHeight - frame.current.scrollTop;
    setNumber(number + SHOWN);
  };
  useLayoutEffect(() => {
    if (fromEnd.current !== null) frame.current.scrollTop = frame.current.scrollHeight - fromEnd.current;
    fromEnd.current = null;
  }, [number]);
  // A message that was just sent is shown; nothing moves when its answer ends.
  const shown = useRef(null);
  useLayoutEffect(() => {
    if (shown.current !== conversation) setNumber(SHOWN);
    if (running || shown.current !== conversation) toEnd();
    shown.current = conversation;
  }, [conversation, running]);
  return html`<div class="thread" ref=${frame} onScroll=${scrolled}>
    <div class="column" ref=${content} role="log" aria-live="off" aria-label=${t.messages}>
      ${branch.length === 0 && html`<${Empty} suggest=${suggest} />`}
      ${branch.length > number &&
      html`<button type="button" class="plain earlier" onClick=${showEarlier}>${t.earlier(branch.length - number)}</button>`}
      ${branch.slice(-number).map(
        (node) => html`<${Message}
          key=${node.id}
          conversation=${conversation}
          node=${node}
          isLast=${node === branch.at(-1)}
          editing=${editing === node}
          setEditing=${setEditing}
        />`,
      )}
      ${running && branch.includes(running.node) && html`<${Progress} running=${running} />`}
      <${Problem} conversation=${conversation} />
    </div>
    ${isAway && html`<div class="to-end"><${IconButton} icon="down" label=${t.toLatest} onClick=${toEnd} /></div>`}
  </div>`;
}
