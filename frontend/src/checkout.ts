/** Paying in Razorpay's window, and waiting for what was paid. Without a script both have pages of their own. */
interface Answer {
  razorpay_payment_id: string;
  razorpay_subscription_id?: string;
  razorpay_order_id?: string;
  razorpay_signature: string;
}

interface Failure {
  error?: { description?: string };
}

interface RazorpayWindow {
  open(): void;
  on(event: "payment.failed", listener: (failure: Failure) => void): void;
}

declare global {
  interface Window {
    Razorpay?: new (options: Record<string, unknown>) => RazorpayWindow;
  }
}

export {}; // a module: what is declared above is for it alone

const CLOSED = "You have closed the payment window. Nothing was taken; you can open it again.";
const BLOCKED = "The payment window could not be loaded.";

function load(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", () => resolve());
    script.addEventListener("error", () => reject(new Error(address)));
    document.head.append(script);
  });
}

function startCheckout(root: HTMLElement): void {
  const button = root.querySelector<HTMLButtonElement>("#checkout-open");
  const page = root.querySelector<HTMLAnchorElement>("#checkout-page");
  const said = root.querySelector<HTMLElement>("#checkout-said");
  const paid = root.querySelector<HTMLFormElement>("#checkout-paid");
  if (!button || !said || !paid) return;
  const data = root.dataset;
  let script: Promise<void> | null = null;
  let done = false;

  function say(text: string): void {
    const place = said?.querySelector("span");
    if (!said || !place) return;
    place.textContent = text;
    said.hidden = text === "";
  }

  function arrived(answer: Answer): void {
    if (!paid) return;
    done = true;
    for (const [name, value] of Object.entries(answer)) {
      const field = paid.elements.namedItem(name);
      if (field instanceof HTMLInputElement) field.value = String(value);
    }
    paid.submit();
  }

  async function open(): Promise<void> {
    if (!button) return;
    button.disabled = true;
    say("");
    try {
      await (script ??= load(data["script"] ?? ""));
      if (!window.Razorpay) throw new Error("no Razorpay");
    } catch {
      script = null;
      say(page ? `${BLOCKED} Use Razorpay’s own page instead.` : `${BLOCKED} Look whether something blocks it, and try again.`);
      button.disabled = false;
      return;
    }
    let failed = "";
    const opened = new window.Razorpay({
      key: data["key"],
      ...(data["subscription"] ? { subscription_id: data["subscription"] } : { order_id: data["order"], amount: data["amount"], currency: data["currency"] }),
      ...(data["changesMethod"] ? { subscription_card_change: true } : {}),
      name: data["site"],
      description: data["what"],
      prefill: { email: data["email"], name: data["name"] },
      theme: { color: "#0e5a41" },
      handler: arrived,
      modal: {
        ondismiss: () => {
          if (done) return;
          say(failed ? `${failed} Nothing was taken. Try again, also another way.` : CLOSED);
          button.disabled = false;
          button.focus();
        },
      },
    });
    opened.on("payment.failed", (failure) => {
      failed = failure.error?.description ?? "The payment did not go through.";
      say(`${failed} Nothing was taken. Try again, also another way.`);
    });
    opened.open();
  }

  button.hidden = false;
  button.addEventListener("click", () => void open());
  if (location.hash === "#pay") {
    // Coming back, or loading the page again, must not open it once more.
    history.replaceState(null, "", location.pathname + location.search);
    void open();
  }
}

/** Ask every two seconds, later less often, and load the page again once there is news. */
function startWaiting(root: HTMLElement): void {
  const address = root.dataset["waits"] ?? "";
  const began = Date.now();
  async function ask(): Promise<void> {
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
      if (answer.status === 401 || answer.redirected) return location.reload();
      const { state } = (await answer.json()) as { state?: string };
      if (answer.ok && state !== "waiting") return location.reload();
    } catch {
      // The network is away: the next question may find it.
    }
    setTimeout(() => void ask(), Date.now() - began < 60_000 ? 2000 : 10_000);
  }
  setTimeout(() => void ask(), 1000);
}

const checkout = document.getElementById("checkout");
if (checkout) startCheckout(checkout);
const waiting = document.querySelector<HTMLElement>("[data-waits]");
if (waiting) startWaiting(waiting);
