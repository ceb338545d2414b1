"""Reconciliation on the staff desk: days, findings and what the keys have used. Nobody changes any of it by hand."""

from __future__ import annotations

from django.contrib import admin

from chat.models import UpstreamFinding, UpstreamReconciliation, UpstreamSpending
from oneai.kit.money import usd_string
from oneai.kit.read_only_admin import ReadOnly


def _dollars(nano: int | None) -> str:
    return "" if nano is None else f"${usd_string(nano)}"


class _Kept(ReadOnly):
    show_full_result_count = False


@admin.register(UpstreamReconciliation)
class ReconciliationAdmin(_Kept):
    """A day's usage records against the upstream's."""

    list_display = [
        "day", "checked", "matched", "corrected", "tokens_difference", "cost", "missing", "nameless", "unclear",
        "free", "owners_cost", "finished_at",
    ]  # fmt: skip
    exclude = ["reached", "failures", "leased_until"]

    @admin.display(description="cost difference", ordering="nano_usd_difference")
    def cost(self, row: UpstreamReconciliation) -> str:
        return _dollars(row.nano_usd_difference)

    @admin.display(description="billed for free calls", ordering="free_nano_usd")
    def owners_cost(self, row: UpstreamReconciliation) -> str:
        return _dollars(row.free_nano_usd)


@admin.register(UpstreamFinding)
class FindingAdmin(_Kept):
    """A record that the upstream tells otherwise, or not at all."""

    list_display = [
        "day", "kind", "model_id", "upstream_id", "tokens_before", "tokens_billed", "cost_before", "cost_billed",
        "told_at",
    ]  # fmt: skip
    list_filter = ["kind", "day"]
    search_fields = ["=upstream_id", "=record_id", "model_id"]

    @admin.display(description="cost before", ordering="nano_usd_before")
    def cost_before(self, row: UpstreamFinding) -> str:
        return _dollars(row.nano_usd_before)

    @admin.display(description="cost billed", ordering="nano_usd_billed")
    def cost_billed(self, row: UpstreamFinding) -> str:
        return _dollars(row.nano_usd_billed)


@admin.register(UpstreamSpending)
class SpendingAdmin(_Kept):
    """What the keys have used between two looks against our records of the time."""

    list_display = ["at", "since", "billed", "recorded", "slack", "unexplained", "told_at"]

    @admin.display(description="billed")
    def billed(self, row: UpstreamSpending) -> str:
        return _dollars(row.billed_nano_usd)

    @admin.display(description="recorded")
    def recorded(self, row: UpstreamSpending) -> str:
        return _dollars(row.recorded_nano_usd)

    @admin.display(description="slack")
    def slack(self, row: UpstreamSpending) -> str:
        return _dollars(row.slack_nano_usd)

    @admin.display(description="unexplained")
    def unexplained(self, row: UpstreamSpending) -> str:
        return _dollars(row.unexplained_nano_usd)
