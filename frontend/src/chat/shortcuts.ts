/** Keys. Punctuation is read by its place on the keyboard, so that layouts don't matter. */
export interface Commands {
  newChat(): void;
  stop(): boolean;
  focusInput(): void;
  copyCode(): void;
  copyAnswer(): void;
  again(): void;
  editLast(): void;
  pickModel(): void;
  search(): void;
  attach(): void;
  temporary(): void;
  help(): void;
}

export function listenToKeys(commands: Commands): void {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const held = event.ctrlKey || event.metaKey;
    if (event.key === "Escape") {
      if (event.shiftKey) commands.focusInput();
      // Escape closes what is open first: a dialog or a popover is not also a stop.
      else if (document.querySelector("dialog[open], :popover-open") || !commands.stop()) return;
      event.preventDefault();
      return;
    }
    if (!held || event.altKey) return;
    if (event.shiftKey && event.code === "KeyO") commands.newChat();
    else if (event.shiftKey && event.code === "KeyM") commands.pickModel();
    else if (event.shiftKey && event.code === "KeyU") commands.attach();
    else if (event.shiftKey && event.code === "KeyY") commands.temporary();
    else if (event.shiftKey && event.code === "Semicolon") commands.copyCode();
    else if (event.shiftKey && event.code === "KeyC") commands.copyAnswer();
    else if (event.shiftKey && event.code === "KeyE") commands.again();
    else if (event.shiftKey && event.code === "KeyI") commands.editLast();
    else if (!event.shiftKey && event.code === "KeyK") commands.search();
    else if (!event.shiftKey && event.code === "Slash") commands.help();
    else return;
    event.preventDefault();
  });
}
