/**
 * Theme: "auto" is the account's choice, else the system's, and stores nothing; "light" and "dark" are kept in
 * this browser.
 * The inline script in base.html applies the stored value before the first paint.
 */
type Theme = "auto" | "light" | "dark";

const KEY = "theme";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

function current(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    if (value === "light" || value === "dark") return value;
  } catch {
    // Storage is off: nothing was chosen here.
  }
  return "auto";
}

function apply(theme: Theme): void {
  const root = document.documentElement.dataset;
  const shown = theme === "auto" ? root["ownTheme"] : theme;
  if (shown) root["theme"] = shown;
  else delete root["theme"];
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
  // Whoever chooses a theme for their account means this browser, too.
  document.querySelector("form[data-theme-form]")?.addEventListener("submit", () => store("auto"));
  window.addEventListener("storage", (event) => {
    if (event.key !== KEY) return;
    apply(event.newValue === "light" || event.newValue === "dark" ? event.newValue : "auto");
    update();
  });
  update();
}
