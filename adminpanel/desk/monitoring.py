"""The figures of monitoring for staff: what the processes count, and how the site stands by its database."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from adminpanel import site_figures
from adminpanel.desk.doors import require, shown
from oneai.kit import metrics

_TITLES: Final = (
    ("oneai_refusals_total", "Refusals", "code", "What people and programs were refused: quotas, rates and all else"),
    ("oneai_errors_total", "Errors", "where", "Exceptions that nobody expected"),
    ("oneai_webhooks_received_total", "Webhooks received", "outcome", "Events at the door"),
    ("oneai_webhooks_handled_total", "Webhooks handled", "outcome", "What became of them"),
    ("oneai_tokens_total", "Tokens", "kind", "Charged since the processes began"),
    ("oneai_calls_total", "Calls", "source", "By where their figures come from"),
)
QUOTA: Final = frozenset({"quota_exceeded", "platform_limit_reached"})
RATE: Final = frozenset({"rate_limited", "too_many_generations", "too_many_attempts"})


@dataclass(slots=True)
class Latency:
    """How fast a door answers: answers by class of status, and what share of them began within how long."""

    door: str
    answers: int = 0
    errors: int = 0
    seconds: float = 0.0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def mean_ms(self) -> int:
        return round(1000 * self.seconds / self.answers) if self.answers else 0

    @property
    def within(self) -> str:
        """The bound that 95 of 100 answers kept."""
        for bound in sorted(self.buckets):
            if self.buckets[bound] >= 0.95 * self.answers:
                return "more" if bound == float("inf") else f"{bound:g} s"
        return "–"


def latencies(samples: list[tuple[str, dict[str, str], float]]) -> list[Latency]:
    """By door, the busiest first."""
    found: dict[str, Latency] = {}
    for name, labels, value in samples:
        if not name.startswith("oneai_response_seconds"):
            continue
        one = found.setdefault(labels["door"], Latency(labels["door"]))
        if name.endswith("_count"):
            one.answers += int(value)
            one.errors += int(value) if labels["status"] == "5xx" else 0
        elif name.endswith("_sum"):
            one.seconds += value
        else:
            one.buckets[float(labels["le"])] += value
    return sorted(found.values(), key=lambda one: -one.answers)


def page(request: HttpRequest) -> HttpResponse:
    """What is counted, in words."""
    require(request, "monitoring.view")
    samples = metrics.samples() if metrics.on() else []
    tables = []
    for name, title, label, says in _TITLES:
        rows = sorted(((labels.get(label, ""), int(value)) for each, labels, value in samples if each == name),
                      key=lambda row: -row[1])  # fmt: skip
        tables.append((title, label, says, rows))
    refused = {labels["code"]: int(value) for name, labels, value in samples if name == "oneai_refusals_total"}
    return shown(
        request,
        "monitoring",
        title="Monitoring",
        counted=metrics.on(),
        has_token=bool(settings.METRICS_TOKEN),
        latencies=latencies(samples),
        tables=tables,
        quota_refusals=sum(count for code, count in refused.items() if code in QUOTA),
        rate_refusals=sum(count for code, count in refused.items() if code in RATE),
        figures=[
            (figure.name.replace("_", " "), figure.says, sorted(figure.values.items()))
            for figure in site_figures.figures()
        ],
    )
