// SPDX-License-Identifier: MIT
// site.js: to the search a minus before a word means "without it".  Whoever types -EBUSY looks for
// this error: what the search reads from its box has no minus before names of errors.
const box = document.querySelector("[data-md-component=search-query]");
const { get, set } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
Object.defineProperty(box, "value", {
  get: () => get.call(box).replace(/(^|\s)-(?=E[A-Z])/g, "$1"),
  set: (text) => set.call(box, text),
});
// Without a server browsers do not load the index of words.
if (location.protocol === "file:") {
  for (const part of document.querySelectorAll(".md-search, label[for=__search]")) part.remove();
}
