"""Figures and verdicts, and what a run prints, from samples that are known."""

import json
import math
from array import array
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.figures import Figure, figures, percentile, summary
from benchmarks.generator import Outcome
from benchmarks.machine import Cores
from benchmarks.measure import Sample
from benchmarks.pages import Page, page_figures
from benchmarks.runner import Section, scaling

MS = 1_000_000


def sample(*, first_ms: int, lag_ms: int, cpu_s: float, whole: int = 10, seconds: int = 2) -> Sample:
    outcome = Outcome(asked=10, whole=whole, chunks=1_000, wall_ns=seconds * 1_000 * MS)
    outcome.first_ns = array("q", [first_ms * MS] * 10)
    outcome.lags_ns = array("q", [lag_ms * MS] * 1_000)
    outcome.total_ns = array("q", [seconds * 1_000 * MS] * whole)
    if whole < 10:
        outcome.complaints = Counter({"chunks missing": 10 - whole})
    return Sample(outcome, wall_s=seconds, server_cpu_s=cpu_s, resident_before=1 << 20, resident_peak=11 << 20)


def test_percentiles_are_nearest_rank() -> None:
    values = [n * MS for n in range(1, 101)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.95) == 95
    assert percentile(values[:1], 0.95) == 1
    assert math.isnan(percentile([], 0.5))


def test_a_summary_divides_by_what_it_says() -> None:
    row = summary(sample(first_ms=3, lag_ms=1, cpu_s=0.08), connections=10)
    assert row.cpu_us_per_chunk == pytest.approx(80)
    assert row.cpu_us_per_answer == pytest.approx(8_000)
    assert row.chunks_per_s == pytest.approx(500)
    assert row.answers_per_s == pytest.approx(5)
    assert row.growth_kb_per_stream == pytest.approx(1_024)
    assert row.server_share == pytest.approx(0.04)


def s3(whole: int = 10) -> dict[str, Sample]:
    return {
        "direct": sample(first_ms=1, lag_ms=1, cpu_s=0),
        "byte proxy": sample(first_ms=2, lag_ms=1, cpu_s=0.02),
        "OneAI": sample(first_ms=12, lag_ms=4, cpu_s=0.06, whole=whole),
    }


def section(samples: dict[str, Sample]) -> Section:
    rows = {name: summary(one, 10) for name, one in samples.items()}
    made = Section("OneAI on sqlite", "OneAI", "sqlite", 1, "v1", Cores((1,), (0,), alone=True))
    made.samples["S3"] = rows
    made.figures = figures(made.samples, "OneAI", "sqlite")
    return made


def test_figures_are_differences_from_direct_and_ratios_to_the_bare_relay() -> None:
    found = {figure.id: figure for figure in section(s3()).figures}
    assert found["s3-cpu"].value == pytest.approx(3)
    assert found["s3-cpu"].verdict == "must met"
    assert found["s3-first-p50"].value == pytest.approx(11)
    assert found["s3-lag"].value == pytest.approx(3)
    assert found["s3-rate"].verdict == "aim met"
    assert found["whole"].verdict == "aim met"


def test_a_lost_answer_misses_its_target_and_is_printed() -> None:
    made = section(s3(whole=9))
    found = {figure.id: figure for figure in made.figures}
    assert found["whole"].verdict == "MISSED: 90% of must"
    printed = report.text({"machine": "one"}, [made], [])
    assert "9/10" in printed
    assert "chunks missing" in printed


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("s1-total", 2.0, "aim met"),
        ("s1-total", 3.9, "must met"),
        ("s1-total", 8.0, "MISSED: 2.0 times must"),
        ("s4-sqlite", 0.2, "aim met"),
        ("s4-sqlite", 0.1, "must met"),
        ("s4-sqlite", 0.05, "MISSED: 50% of must"),
        ("s4-sqlite", math.nan, "not measured"),
    ],
)
def test_verdicts(name: str, value: float, verdict: str) -> None:
    assert Figure(name, value).verdict == verdict


@pytest.mark.parametrize("wall", [2.0, 10.0])
def test_a_measurement_is_disturbed_by_others_work_and_by_stolen_time(wall: float) -> None:
    assert not Sample(wall_s=wall, foreign_s=0.05 * wall, stolen_s=0.01 * wall).is_disturbed
    assert Sample(wall_s=wall, foreign_s=0.07 * wall).is_disturbed
    assert Sample(wall_s=wall, stolen_s=0.02 * wall).is_disturbed


def test_pages_are_judged_by_the_slowest_and_by_queries_that_grow() -> None:
    even = Page("page", p50=5, p95=20, cpu_ms=4, size=9_000, queries=5, queries_small=5)
    growing = Page("list", p50=5, p95=70, cpu_ms=4, size=9_000, queries=205, queries_small=5)
    assert [figure.verdict for figure in page_figures([even])] == ["aim met"] * 3
    assert [figure.value for figure in page_figures([even, growing])] == [70, 205, 200]
    assert page_figures([even, growing])[2].verdict == "MISSED by 200"
    assert page_figures([]) == []
    made = section(s3())
    made.pages = [growing]
    assert "205 queries (5 with few rows)" in report.text({}, [made], [])


def test_two_workers_are_only_compared_where_each_had_a_core() -> None:
    one, two = section(s3()), section(s3())
    for number, made in ((1, one), (2, two)):
        made.samples["S4"] = made.samples["S3"]
        made.database, made.workers = "postgresql", number
    assert [figure.value for figure in scaling([one, two])] == [1.0]
    two.cores = Cores((0, 1), (0,), alone=False)
    assert [figure.verdict for figure in scaling([one, two])] == ["not measured"]
    assert scaling([one]) == []


def test_json_has_no_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    made = section(s3())
    made.figures.append(Figure("workers", math.nan))
    report.write_json(tmp_path / "out.json", {"machine": "one"}, [made], [])

    def refuse(word: str) -> float:
        raise AssertionError(word)

    read = json.loads((tmp_path / "out.json").read_text(), parse_constant=refuse)
    assert read["sections"][0]["figures"][-1]["value"] is None
    assert read["sections"][0]["samples"]["S3"]["OneAI"]["whole"] == 10
