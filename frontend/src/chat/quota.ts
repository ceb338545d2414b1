/** What is left of the quota: beside the list, and small under the composer. */
import { call, type Limit } from "./api.ts";
import { byId, el } from "./dom.ts";
import { count, when } from "./format.ts";

const LOW = 0.15;

/** The plan's tokens; in a team the team's, or the person's share of them, whichever leaves less. */
function tightest(limits: Limit[]): Limit | undefined {
  const plans = limits.filter(({ scope, unit }) => unit === "tokens" && (scope === "*" || scope.startsWith("team:")));
  const left = (limit: Limit) => limit.remaining ?? Number.POSITIVE_INFINITY;
  return plans.sort((one, other) => left(one) - left(other))[0];
}

export class QuotaView {
  async load(): Promise<void> {
    try {
      const answer = await call<{ limits?: Limit[] }>("GET", "/api/user/quota");
      this.show(answer.limits ?? []);
    } catch {
      // A meter that can't be read is left as it was: sending decides, not this.
    }
  }

  show(limits: Limit[]): void {
    const plan = tightest(limits);
    if (!plan) return;
    byId("quota").hidden = false;
    const meter = byId<HTMLProgressElement>("quota-meter");
    const left = byId("quota-left");
    const small = byId("composer-left");
    if (plan.limit === null) {
      left.textContent = "Unlimited";
      meter.hidden = true;
      small.replaceChildren();
      byId("quota-reset").textContent = "";
      return;
    }
    const remaining = Math.max(0, plan.remaining ?? plan.limit - plan.used - plan.held);
    meter.hidden = false;
    meter.max = Math.max(1, plan.limit);
    meter.value = remaining;
    meter.dataset["level"] = remaining === 0 ? "out" : remaining / Math.max(1, plan.limit) < LOW ? "low" : "fine";
    left.textContent = count(remaining);
    small.replaceChildren(count(remaining), el("span", { class: "composer__unit" }, " tokens"), " left");
    byId("quota-reset").textContent =
      `of ${count(plan.limit)}` + (plan.reset_at ? `, anew ${when(plan.reset_at)}` : "");
  }
}
