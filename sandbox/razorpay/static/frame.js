/* Inside the checkout's frame: tells the page around it what happened, and sends forms that need nobody.

Loaded before anything is shown, so that no click comes too early to be heard. */
(function () {
  "use strict";

  function tell(kind, data) {
    const origin = document.body.dataset.origin;
    if (origin && window.parent !== window) window.parent.postMessage({ kind, data }, origin);
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) tell("dismiss");
  });
  document.addEventListener("submit", (event) => {
    if (event.target.dataset.sent) event.preventDefault(); // a double click pays once
    event.target.dataset.sent = "1";
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tell("dismiss");
    const form = event.key === "Enter" && event.target.tagName === "INPUT" && event.target.form;
    if (!form) return;
    const way = event.target.closest("details[name]") || form.querySelector("details[name][open]");
    const button = way && way.querySelector("button");
    event.preventDefault(); // the browser would press the first button of the form, whatever is open
    if (button) button.click();
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form")) delete form.dataset.sent;
  });
  document.addEventListener("DOMContentLoaded", () => {
    const { kind, answer } = document.body.dataset;
    if (kind) tell(kind, JSON.parse(answer));
    const unattended = document.querySelector("form[data-unattended]");
    if (unattended) unattended.submit();
  });
})();
