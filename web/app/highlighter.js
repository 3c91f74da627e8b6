// A worker that colors code. It answers twice: when it begins, as it may have been loading before, and with the HTML.
import library from "../vendor/highlight.js";

onmessage = ({ data: { text, language } }) => {
  postMessage({});
  const isKnown = library.getLanguage(language);
  postMessage({ html: isKnown ? library.highlight(text, { language, ignoreIllegals: true }).value : null });
};
