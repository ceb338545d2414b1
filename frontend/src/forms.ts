/** A form is sent once: the second click of an impatient hand does nothing. */
export function startForms(): void {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[method=post]:not([data-live]):not([data-passkey])")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset["sent"] === "true") {
        event.preventDefault();
        return;
      }
      form.dataset["sent"] = "true";
      const button = event.submitter;
      if (button instanceof HTMLButtonElement) button.dataset["pending"] = "true";
    });
  }
  // Coming back by the browser's history shows the page as it was: it may be sent again.
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll<HTMLFormElement>("form[data-sent]")) delete form.dataset["sent"];
    for (const button of document.querySelectorAll<HTMLElement>("[data-pending]")) delete button.dataset["pending"];
  });
}
