/** Buttons that copy what stands in a field; without a script they are not there. */
export function startCopying(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    const field = document.getElementById(button.dataset["copy"] ?? "");
    const label = button.querySelector("span");
    if (!(field instanceof HTMLInputElement) || !label) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(field.value);
        label.textContent = "Copied";
      } catch {
        label.textContent = "Press Ctrl C"; // it is selected
      }
    });
  }
}
