// A worker that colors code.
import library from "../vendor/highlight.js";

onmessage = ({ data: { text, language } }) => {
  const isKnown = library.getLanguage(language);
  postMessage(isKnown ? library.highlight(text, { language, ignoreIllegals: true }).value : null);
};
