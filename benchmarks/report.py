"""The report: a table for people, the same figures as JSON for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Figure, Summary
from benchmarks.pages import Page
from benchmarks.runner import Section
from benchmarks.scenarios import SCENARIOS

_COLUMNS = (
    ("whole", 12),
    ("first p50", 11),
    ("p95", 11),
    ("lag p50", 9),
    ("p95", 9),
    ("p99", 9),
    ("total p50", 11),
    ("chunks/s", 9),
    ("answers/s", 10),
    ("us/chunk", 9),
    ("us/answer", 10),
    ("db us/a.", 9),
    ("server %", 9),
    ("load %", 7),
)


def _number(value: float, width: int, digits: int = 2) -> str:
    if math.isnan(value):
        return "-".rjust(width)
    return f"{value:,.{digits}f}".rjust(width)


def _row(name: str, row: Summary, *, streams: bool) -> str:
    lag = (row.lag_p50, row.lag_p95, row.lag_p99) if streams else (math.nan,) * 3
    cells = [
        f"{row.whole}/{row.asked}".rjust(12),
        _number(row.first_p50, 11),
        _number(row.first_p95, 11),
        *(_number(value, 9) for value in lag),
        _number(row.total_p50, 11),
        _number(row.chunks_per_s, 9, 0),
        _number(row.answers_per_s, 10, 0),
        _number(row.cpu_us_per_chunk or math.nan, 9, 1),
        _number(row.cpu_us_per_answer or math.nan, 10, 0),
        _number(row.database_us_per_answer or math.nan, 9, 0),
        _number(row.server_share * 100, 9, 0),
        _number(row.load_share * 100, 7, 0),
    ]
    return f"  {name:<12}" + "".join(cells)


def _against(rows: Mapping[str, Summary], subject: str, other: str) -> str:
    mine, base = rows[subject], rows[other]

    def times(value: float, of: float) -> str:
        return f"{value / of:.2f}" if of and not math.isnan(value / of) else "-"

    parts = [
        f"total {times(mine.total_p50, base.total_p50)}",
        f"first p50 {mine.first_p50 - base.first_p50:+.2f} ms",
        f"p95 {mine.first_p95 - base.first_p95:+.2f} ms",
        f"lag p95 {mine.lag_p95 - base.lag_p95:+.2f} ms",
        f"answers/s {times(mine.answers_per_s, base.answers_per_s)}",
        f"chunks/s {times(mine.chunks_per_s, base.chunks_per_s)}",
    ]
    if base.cpu_us_per_chunk:
        parts.append(f"CPU per chunk {times(mine.cpu_us_per_chunk, base.cpu_us_per_chunk)}")
    return f"  {subject} against {other}: " + ", ".join(parts)


def _remarks(rows: Mapping[str, Summary], subject: str) -> list[str]:
    lines = []
    for name, row in rows.items():
        if row.repeated:
            state = f"{row.disturbed} still disturbed" if row.disturbed else "the repeat was calm"
            lines.append(
                f"  ! {name}: {row.repeated} round(s) disturbed and repeated, {state} "
                f"(others' work {row.foreign_share:.1%} of a core, stolen {row.stolen_share:.1%})"
            )
        if row.load_share > 0.9 and name == subject:
            lines.append(
                f"  ! {name}: upstream and load generator took {row.load_share:.0%} of a core: they, not the "
                "server, may set this figure"
            )
        if row.complaints:
            lines.append(f"  ! {name}: {row.complaints} {row.examples}")
    return lines


def _figure_lines(found: Sequence[Figure]) -> list[str]:
    lines = [f"  {'figure':<46}{'measured':>12}{'must':>8}{'aim':>8}{'best rival':>12}  verdict"]
    for figure in found:
        target = figure.target
        value = "-" if math.isnan(figure.value) else f"{figure.value:,.3g} {target.unit}".strip()
        bounds = f"{target.must:>8g}{target.aim:>8g}{target.rival:>12}"
        lines.append(f"  {target.label:<46}{value:>12}{bounds}  {figure.verdict}")
    return lines


def _page_lines(pages: Sequence[Page]) -> list[str]:
    lines = ["S8: a conversation of 200 messages, a list of 1,000 conversations; one request after the other"]
    for page in pages:
        times = f"p50 {page.p50:.2f}, p95 {page.p95:.2f}, CPU {page.cpu_ms:.2f} ms"
        queries = f"{page.queries} queries ({page.queries_small} with few rows)"
        lines.append(f"  {page.name:<6} {times}; {page.size:,} bytes; {queries}")
    return lines


def text(head: Mapping[str, str], sections: Sequence[Section], across: Sequence[Figure]) -> str:
    """The whole report."""
    lines = [f"{name}: {value}" for name, value in head.items()]
    for section in sections:
        where = f"server on cores {section.cores.server}, all else on {section.cores.rest}"
        units = "times in milliseconds, CPU of the server's processes in microseconds"
        lines += ["", f"== {section.title}", f"   {where}; {units}"]
        for scenario_id, rows in section.samples.items():
            scenario = SCENARIOS[scenario_id]
            lines.append(f"{scenario.id}: {scenario.says}")
            lines.append("  " + " " * 12 + "".join(name.rjust(width) for name, width in _COLUMNS))
            lines += [_row(name, row, streams=scenario.load.streaming) for name, row in rows.items()]
            others = [name for name in rows if name != section.subject]
            lines += [_against(rows, section.subject, other) for other in others]
            lines += _remarks(rows, section.subject)
        if section.pages:
            lines += _page_lines(section.pages)
        if section.figures:
            lines += ["targets:", *_figure_lines(section.figures)]
        lines += [f"  note: {note}" for note in section.notes]
    if across:
        lines += ["", "across configurations:", *_figure_lines(across)]
    return "\n".join(lines)


def write_json(path: Path, head: Mapping[str, str], sections: Sequence[Section], across: Sequence[Figure]) -> None:
    """The same figures for machines; what was not measured is null."""

    def figure(one: Figure) -> dict[str, object]:
        return {"id": one.id, "value": one.value, "verdict": one.verdict, **asdict(one.target)}

    body = {
        **head,
        "sections": [
            {
                "title": section.title,
                "database": section.database,
                "workers": section.workers,
                "door": section.door,
                "cores": asdict(section.cores),
                "samples": {
                    scenario: {name: asdict(row) for name, row in rows.items()}
                    for scenario, rows in section.samples.items()
                },
                "pages": [asdict(page) for page in section.pages],
                "figures": [figure(one) for one in section.figures],
                "notes": section.notes,
            }
            for section in sections
        ],
        "across": [figure(one) for one in across],
    }
    path.write_text(json.dumps(_finite(body), indent=1) + "\n", encoding="utf-8")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
