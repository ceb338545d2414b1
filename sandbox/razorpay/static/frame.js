/* Inside the checkout's frame: tells the page around it what happened, and sends forms that need nobody. */
(function () {
  "use strict";

  const body = document.body;
  const origin = body.dataset.origin;

  function tell(kind, data) {
    if (origin && window.parent !== window) window.parent.postMessage({ kind, data }, origin);
  }

  if (body.dataset.kind) tell(body.dataset.kind, JSON.parse(body.dataset.answer));
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => tell("dismiss"));
  }
  window.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tell("dismiss");
  });
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault(); // a double click pays once
      form.dataset.sent = "1";
    });
    form.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
      const way = event.target.closest("details[name]") || form.querySelector("details[name][open]");
      const button = way && way.querySelector("button");
      event.preventDefault(); // the browser would press the first button of the form, whatever is open
      if (button) button.click();
    });
  }
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form")) delete form.dataset.sent;
  });
  const unattended = document.querySelector("form[data-unattended]");
  if (unattended) unattended.submit();
})();
