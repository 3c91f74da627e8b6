// The texts of the page. Another language is another file beside `en.js` with the same names.
export { default as t } from "../texts/en.js";
