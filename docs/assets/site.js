// What scrolls sideways can be reached with the keyboard, and the search has a name, as WCAG 2 asks.
const named = () => {
  for (const each of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) each.tabIndex = 0;
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
};
named();
addEventListener("load", () => {
  named();
  const content = document.querySelector(".md-content"); // the theme wraps wide tables later
  if (content) new MutationObserver(named).observe(content, { childList: true, subtree: true });
});
