"""`manage.py reconcile [--since DATE]`: our usage records against the upstream's own; differences are put right."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from adminpanel.management import amounts
from billing import differences, gateway
from billing import reconciling as money_reconciling
from billing.looking import Report
from chat import reconcile_rows, reconciling
from chat.models import UpstreamFinding, UpstreamReconciliation, UpstreamSpending
from chat.reconciling import Step
from chat.upstreams import OPENROUTER, Upstream, upstreams
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from oneai.kit.money import usd_string

TRIES: Final = 3
PAUSE_SECONDS: Final = 1.0
LONGEST_WAIT: Final = 180.0  # for a worker that has the same day in hand

NO_RAZORPAY: Final = "Razorpay: payments are not set up, so there is nothing to compare."


class Command(BaseCommand):
    help = "Compare our records with what OpenRouter and Razorpay say; print the differences and repair them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", metavar="DATE", help="the first day (UTC); yesterday when left out")
        parser.add_argument("--only", choices=("openrouter", "razorpay"), help="leave out the other")
        parser.add_argument(
            "--grace",
            type=int,
            metavar="SECONDS",
            default=int(reconciling.GRACE.total_seconds()),
            help="leave out calls that ended less than this ago: their records may still be on their way",
        )
        parser.add_argument("--json", action="store_true", help="print an object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        days = self._days(options["since"])
        if options["grace"] < 0:
            raise CommandError("--grace must be seconds from 0 on.")
        upstream = upstreams().get(OPENROUTER) if options["only"] != "razorpay" else None
        started = now()
        money = self._money(days[0]) if options["only"] != "openrouter" else None
        if upstream is not None:
            for day in days:
                self._pass(upstream, day, timedelta(seconds=options["grace"]), last=day == days[-1])
        rows = list(UpstreamReconciliation.objects.filter(day__in=days).order_by("day")) if upstream else []
        findings = list(UpstreamFinding.objects.filter(day__in=days).order_by("day", "id")) if upstream else []
        spending = UpstreamSpending.objects.filter(at__gte=started).order_by("-at").first() if upstream else None
        audit.record(
            audit.command_actor(),
            "upstream.reconciled",
            target=f"{days[0]} to {days[-1]}",
            details={kind.value: sum(each.kind == kind for each in findings) for kind in UpstreamFinding.Kind},
        )
        if options["json"]:
            self.stdout.write(json.dumps(_json(upstream, rows, findings, spending) | {"razorpay": _money_json(money)}))
            return
        lines = [] if options["only"] == "razorpay" else _lines(upstream, rows, findings, spending)
        if options["only"] != "openrouter":
            lines += _money_lines(money)
        for line in lines:
            self.stdout.write(line)

    @staticmethod
    def _money(first: date) -> Report | None:
        """Razorpay's pass since the beginning of a day; None when payments are off."""
        if not gateway.configured():
            return None
        since = datetime.combine(first, datetime.min.time(), UTC)
        try:
            report = money_reconciling.reconcile(since)
        except Refusal as refusal:
            raise CommandError(f"Razorpay: {refusal.text}") from refusal
        money_reconciling.send_due()
        audit.record(
            audit.command_actor(),
            "razorpay.reconciled",
            target=f"since {first}",
            details={"looked_at": report.looked_at, "repaired": len(report.repaired), "failed": len(report.failed)},
        )
        return report

    @staticmethod
    def _days(since: str | None) -> list[date]:
        today = now().astimezone(UTC).date()
        moment = amounts.moment("--since", since)
        first = today - timedelta(days=1) if moment is None else moment.astimezone(UTC).date()
        if first > today:
            raise CommandError("--since lies in the future.")
        return [first + timedelta(days=number) for number in range((today - first).days + 1)]

    @staticmethod
    def _pass(upstream: Upstream, day: date, grace: timedelta, *, last: bool) -> None:
        """One day from its beginning to its end, waiting for a worker that has it in hand."""
        anew, failures, until = True, 0, time.monotonic() + LONGEST_WAIT
        while True:
            done = reconciling.step(
                upstream, day, anew=anew, spending=last, grace=grace, again_after=timedelta(seconds=PAUSE_SECONDS / 2)
            )
            if done is Step.DONE:
                return
            if done is Step.BUSY:
                if time.monotonic() > until:
                    raise CommandError(f"{day} is being compared by a worker. Try again in some minutes.")
                time.sleep(PAUSE_SECONDS)
                continue
            anew, until = False, time.monotonic() + LONGEST_WAIT
            failures = failures + 1 if done is Step.UNSURE else 0
            if failures == TRIES:
                raise CommandError(
                    f"The upstream does not answer for calls of {day}. What was done is kept; a worker goes on, or run "
                    "this again."
                )
            if failures:
                time.sleep(PAUSE_SECONDS)


_SUMS: Final = (
    "checked", "matched", "corrected", "missing", "nameless", "unclear", "free", "tokens_difference",
    "nano_usd_difference", "free_nano_usd",
)  # fmt: skip


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def _json(
    upstream: Upstream | None,
    rows: list[UpstreamReconciliation],
    findings: list[UpstreamFinding],
    spending: UpstreamSpending | None,
) -> dict[str, Any]:
    keys = None
    if spending is not None:
        keys = {
            "since": _text(spending.since),
            "at": _text(spending.at),
            "billed_nano_usd": spending.billed_nano_usd,
            "recorded_nano_usd": spending.recorded_nano_usd,
            "slack_nano_usd": spending.slack_nano_usd,
            "unexplained_nano_usd": spending.unexplained_nano_usd,
        }
    days = [{"day": row.day.isoformat()} | {name: getattr(row, name) for name in _SUMS} for row in rows]
    return {
        "openrouter": None
        if upstream is None
        else {"days": days, "findings": [reconcile_rows.as_json(each) for each in findings], "keys": keys},
    }


def _money_json(report: Report | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "looked_at": report.looked_at,
        "repaired": report.repaired,
        "failed": report.failed,
        "open": [
            {"kind": row.kind, "reference": row.reference, "ours": row.ours, "theirs": row.theirs}
            for row in differences.unrepaired()
        ],
    }


def _money_lines(report: Report | None) -> list[str]:
    if report is None:
        return [NO_RAZORPAY]
    lines = [f"Razorpay: {each} was not known here; repaired" for each in report.repaired]
    lines += [f"Razorpay: {each}" for each in report.failed]
    lines += [
        f"Razorpay: {row.kind} {row.reference}: ours {row.ours or 'nothing'}, theirs {row.theirs or 'nothing'}"
        for row in differences.unrepaired()
    ]
    lines.append(
        f"Razorpay: {report.looked_at} objects looked at, {len(report.repaired)} repaired, {len(report.failed)} failed"
    )
    return lines


def _lines(
    upstream: Upstream | None,
    rows: list[UpstreamReconciliation],
    findings: list[UpstreamFinding],
    spending: UpstreamSpending | None,
) -> list[str]:
    if upstream is None:
        return ["OpenRouter: no key is configured, so there is nothing to compare."]
    lines = [reconcile_rows.line(finding) for finding in findings]
    for row in rows:
        lines.append(
            f"{row.day}: {row.checked} calls checked, {row.matched} matched; {row.corrected} corrected "
            f"({row.tokens_difference:+} tokens, {usd_string(row.nano_usd_difference)} USD), {row.missing} missing "
            f"there, {row.nameless} without a number, {row.unclear} unclear, {row.free} free here and billed there "
            f"({usd_string(row.free_nano_usd)} USD)"
        )
    lines.append(
        "The keys' spending could not be seen." if spending is None else reconcile_rows.spending_line(spending)
    )
    return lines
