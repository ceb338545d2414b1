"""From samples to figures, and figures beside the targets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.measure import Sample

Samples = Mapping[str, Mapping[str, Sample]]  # scenario, then subject


def percentile(values: Sequence[int], share: float) -> float:
    """The nearest-rank percentile of nanoseconds, in milliseconds; not a number when there are none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] / 1e6


@dataclass(frozen=True)
class Summary:
    """One row of the table. Times in milliseconds unless the name says otherwise."""

    asked: int
    whole: int
    first_p50: float
    first_p95: float
    lag_p50: float
    lag_p95: float
    lag_p99: float
    total_p50: float
    chunks_per_s: float
    answers_per_s: float
    cpu_us_per_chunk: float
    cpu_us_per_answer: float
    database_us_per_answer: float
    server_share: float
    load_share: float
    foreign_share: float
    stolen_share: float
    growth_kb_per_stream: float
    repeated: int
    disturbed: int
    complaints: dict[str, int]
    examples: list[str]


def _per(amount: float, count: int) -> float:
    return amount * 1e6 / count if count else math.nan


def summary(sample: Sample, connections: int) -> Summary:
    """The figures of a sample."""
    outcome = sample.outcome
    seconds = outcome.wall_ns / 1e9 or math.nan
    return Summary(
        asked=outcome.asked,
        whole=outcome.whole,
        first_p50=percentile(outcome.first_ns, 0.50),
        first_p95=percentile(outcome.first_ns, 0.95),
        lag_p50=percentile(outcome.lags_ns, 0.50),
        lag_p95=percentile(outcome.lags_ns, 0.95),
        lag_p99=percentile(outcome.lags_ns, 0.99),
        total_p50=percentile(outcome.total_ns, 0.50),
        chunks_per_s=outcome.chunks / seconds,
        answers_per_s=outcome.whole / seconds,
        cpu_us_per_chunk=_per(sample.server_cpu_s, outcome.chunks),
        cpu_us_per_answer=_per(sample.server_cpu_s, outcome.asked),
        database_us_per_answer=_per(sample.database_cpu_s, outcome.asked),
        server_share=sample.server_cpu_s / seconds,
        load_share=sample.load_cpu_s / seconds,
        foreign_share=sample.foreign_s / sample.wall_s,
        stolen_share=sample.stolen_s / sample.wall_s,
        growth_kb_per_stream=(sample.resident_peak - sample.resident_before) / 1024 / connections,
        repeated=sample.repeated,
        disturbed=sample.disturbed,
        complaints=dict(outcome.complaints),
        examples=outcome.examples,
    )


@dataclass(frozen=True)
class Target:
    """A figure to reach. `more` says that more is better."""

    label: str
    must: float
    aim: float
    rival: str
    unit: str = ""
    more: bool = False


TARGETS = {
    "s4-sqlite": Target("S4 answers/s, part of direct, SQLite", 0.10, 0.20, ".037", more=True),
    "s4-postgresql": Target("S4 answers/s, part of direct, PostgreSQL", 0.06, 0.12, ".037", more=True),
    "s3-cpu": Target("S3 CPU per chunk, times the byte proxy", 4, 2, "6"),
    "s3-first-p50": Target("S3 first token p50 minus direct", 15, 3, "560", "ms"),
    "s3-first-p95": Target("S3 first token p95 minus direct", 60, 10, "3,364", "ms"),
    "s2-lag": Target("S2 lag p95 minus direct", 2, 0.5, "8.5", "ms"),
    "s3-lag": Target("S3 lag p95 minus direct", 5, 1, "48", "ms"),
    "s3-rate": Target("S3 chunks/s, part of direct", 0.98, 0.995, ".64", more=True),
    "s1-total": Target("S1 total, times direct", 4, 2, "14"),
    "s7-whole": Target("S7 answers whole and in order", 1, 1, "-", more=True),
    "s7-lag": Target("S7 lag p95", 50, 20, "-", "ms"),
    "rss-idle": Target("RSS idle per worker", 140, 90, "96", "MB"),
    "rss-stream": Target("RSS growth per stream in S3", 80, 30, "120", "KB"),
    "workers": Target("two workers against one, PostgreSQL, S4", 1.6, 1.9, "-", more=True),
    "statements": Target("statements per turn, 8 at once, PostgreSQL", 4, 2, "-"),
    "s8-time": Target("S8 slowest page, server time p95, warm", 60, 25, "-", "ms"),
    "s8-queries": Target("S8 most queries of a page", 8, 5, "-"),
    "s8-growth": Target("S8 queries more for many rows than for few", 0, 0, "-"),
    "whole": Target("answers whole and in order, all scenarios", 1, 1, "-", more=True),
}


@dataclass(frozen=True)
class Figure:
    """A measured figure beside its target."""

    id: str
    value: float

    @property
    def target(self) -> Target:
        """What is to be reached."""
        return TARGETS[self.id]

    @property
    def verdict(self) -> str:
        """`aim` or `must` when reached, else how far off it is."""
        target, value = self.target, self.value
        if math.isnan(value):
            return "not measured"
        for name, bound in (("aim met", target.aim), ("must met", target.must)):
            if value >= bound if target.more else value <= bound:
                return name
        if target.more:
            return f"MISSED: {value / target.must:.0%} of must"
        if not target.must:
            return f"MISSED by {value:g}"
        return f"MISSED: {value / target.must:.1f} times must"


def figures(samples: Mapping[str, Mapping[str, Summary]], subject: str, database: str | None) -> list[Figure]:
    """The figures of one subject that its scenarios allow."""
    found: list[Figure] = []

    def take(name: str, scenario: str, value: float) -> None:
        if scenario in samples:
            found.append(Figure(name, value))

    def own(scenario: str) -> Summary:
        return samples[scenario][subject]

    def bare(scenario: str) -> Summary:
        return samples[scenario]["direct"]

    if "S4" in samples and database:
        ratio = own("S4").answers_per_s / bare("S4").answers_per_s
        take(f"s4-{database}", "S4", ratio)
    if "S3" in samples:
        mine, plain = own("S3"), bare("S3")
        relay = samples["S3"].get("byte proxy")
        if relay and mine.cpu_us_per_chunk > 0:
            take("s3-cpu", "S3", mine.cpu_us_per_chunk / relay.cpu_us_per_chunk)
        take("s3-first-p50", "S3", mine.first_p50 - plain.first_p50)
        take("s3-first-p95", "S3", mine.first_p95 - plain.first_p95)
        take("s3-lag", "S3", mine.lag_p95 - plain.lag_p95)
        take("s3-rate", "S3", mine.chunks_per_s / plain.chunks_per_s)
        if mine.growth_kb_per_stream > 0:
            take("rss-stream", "S3", mine.growth_kb_per_stream)
    if "S2" in samples:
        take("s2-lag", "S2", own("S2").lag_p95 - bare("S2").lag_p95)
    if "S1" in samples:
        take("s1-total", "S1", own("S1").total_p50 / bare("S1").total_p50)
    if "S7" in samples:
        take("s7-whole", "S7", own("S7").whole / own("S7").asked)
        take("s7-lag", "S7", own("S7").lag_p95)
    asked = sum(row[subject].asked for row in samples.values())
    if asked:
        found.append(Figure("whole", sum(row[subject].whole for row in samples.values()) / asked))
    return found
