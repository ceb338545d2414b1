/**
 * Theme: "auto" follows the system and stores nothing; "light" and "dark" are kept in this browser.
 * The inline script in base.html applies the stored value before the first paint.
 */
type Theme = "auto" | "light" | "dark";

const KEY = "theme";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

function current(): Theme {
  const value = document.documentElement.dataset["theme"];
  return value === "light" || value === "dark" ? value : "auto";
}

function apply(theme: Theme): void {
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

function store(theme: Theme): void {
  try {
    if (theme === "auto") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // Storage is off: the choice lasts as long as the page.
  }
}

function label(button: HTMLElement): void {
  const theme = current();
  button.setAttribute("aria-label", `Theme: ${theme}. Change to ${NEXT[theme]}`);
  button.title = `Theme: ${theme}`;
}

export function startTheme(): void {
  const buttons = document.querySelectorAll<HTMLElement>("[data-theme-switch]");
  const update = () => buttons.forEach(label);
  for (const button of buttons) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const theme = NEXT[current()];
      store(theme);
      apply(theme);
      update();
    });
  }
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY) return;
    apply(event.newValue === "light" || event.newValue === "dark" ? event.newValue : "auto");
    update();
  });
  update();
}
