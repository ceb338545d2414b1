"""Runs scenarios: every round measures the upstream, the bare relay and the server under test in turn."""

import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import product
from benchmarks.doors import DOORS, V1, Door
from benchmarks.figures import Figure, Summary, figures, summary
from benchmarks.generator import run_load
from benchmarks.machine import Cores, on_cores, pin, resident_bytes
from benchmarks.measure import Sample, measure_calmly
from benchmarks.pages import Page, PagesFailed, page_figures
from benchmarks.pages import measure as measure_pages
from benchmarks.pages import seed as seed_pages
from benchmarks.scenarios import EIGHT, SCENARIOS, WARM_UP, Scenario
from benchmarks.statements import Log
from benchmarks.subjects import Subject, byte_proxy, direct, start_byte_proxy, start_simulator, through

MODELS = tuple(dict.fromkeys([*(scenario.model for scenario in SCENARIOS.values()), WARM_UP.model]))
SCALING = ("S4", "S6")  # the scenarios that a second worker is there for


@dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    scenarios: Sequence[Scenario]
    rounds: int
    port: int
    accounts: int
    scratch: Path
    pages: bool
    say: Callable[[str], None]


@dataclass
class Section:
    """One server in one configuration, measured."""

    title: str
    subject: str
    database: str | None
    workers: int
    door: str
    cores: Cores
    samples: dict[str, dict[str, Summary]] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ground:
    """The upstream and the bare relay, running."""

    direct: Subject
    relay: Subject
    helpers: tuple[int, ...]


@contextmanager
def ground(wish: Wish, cores: Cores) -> Iterator[Ground]:
    """Starts the upstream and the bare relay, and stops them."""
    with ExitStack() as stack:
        stack.enter_context(on_cores(cores.rest))
        upstream = start_simulator(wish.port, MODELS, cores, wish.scratch)
        stack.callback(upstream.stop, seconds=5)
        relay = start_byte_proxy(wish.port + 1, wish.port, cores, wish.scratch)
        stack.callback(relay.stop, seconds=5)
        yield Ground(direct(wish.port), byte_proxy(wish.port + 1, relay.pid), (upstream.pid,))


async def _rounds(
    wish: Wish, scenario: Scenario, subjects: Sequence[Subject], helpers: Sequence[int]
) -> dict[str, Summary]:
    sums = {subject.name: Sample() for subject in subjects}
    for number in range(wish.rounds):
        for subject in subjects:
            wish.say(f"{scenario.id} round {number + 1}: {subject.name}")
            # All of them count, or the relay's time would seem another's work.
            others = [root for other in subjects if other is not subject for root in other.roots]
            sample = await measure_calmly(subject, scenario.load, [*helpers, *others])
            sums[subject.name].add(sample)
            await asyncio.sleep(0.3)
    return {name: summary(sample, scenario.load.connections) for name, sample in sums.items()}


async def _warm(subject: Subject) -> str:
    """A first load that does not count; what was wrong with it, or an empty text."""
    try:
        outcome = await run_load(subject.target, WARM_UP.load)
    except (OSError, TimeoutError) as problem:
        return f"{type(problem).__name__} {problem}"
    if outcome.whole == outcome.asked and outcome.asked:
        return ""
    return f"{dict(outcome.complaints)} {outcome.examples}"


async def _measure_section(wish: Wish, section: Section, base: Ground, subject: Subject, door: Door) -> None:
    for other in (base.direct, base.relay):
        await run_load(other.target, WARM_UP.load)
    wrong = await _warm(subject)
    if wrong:
        section.notes.append(f"The warm-up failed, nothing was measured: {wrong}")
        return
    await asyncio.sleep(1.5)
    idle = max(resident_bytes(subject.roots), default=0) / 1e6
    for scenario in wish.scenarios:
        if door.only_streams and not scenario.load.streaming:
            continue
        subjects = (base.direct, base.relay, subject)
        try:
            section.samples[scenario.id] = await _rounds(wish, scenario, subjects, base.helpers)
        except (OSError, TimeoutError) as problem:
            section.notes.append(f"{scenario.id} broke off: {type(problem).__name__} {problem}")
    section.figures = figures(section.samples, subject.name, section.database)
    if idle:
        section.figures.append(Figure("rss-idle", idle))
    if not section.cores.alone:
        section.notes.append(
            f"{len(section.cores.server)} cores for {section.workers} workers and the load: they share, so "
            "this says nothing of a machine where each has its own."
        )


async def _statements(wish: Wish, running: product.Running, section: Section, subject: Subject) -> None:
    """Counts statements in a load of its own, because the log takes time."""
    if running.postgres is None:
        return
    wish.say("counting statements")
    log = Log(running.postgres.superuser_url, running.postgres.folder / "log")
    await asyncio.sleep(1)
    log.begin()
    outcome = await run_load(subject.target, EIGHT.load)
    await asyncio.sleep(2)
    found = log.end(outcome.asked)
    section.figures.append(Figure("statements", found.per_turn))
    section.notes.append(f"{found.commits_per_turn:.2f} commits per turn at 8 at once, {found.turns} turns.")


async def _pages(wish: Wish, running: product.Running, section: Section) -> None:
    wish.say("S8: pages")
    try:
        seeded = await asyncio.to_thread(seed_pages, running.site.env, *product.PAGE_READERS)
        section.pages = await asyncio.to_thread(measure_pages, running.site.port, seeded, running.roots)
    except PagesFailed as problem:
        section.notes.append(f"S8 was not measured: {problem}")
    section.figures += page_figures(section.pages)


async def measure_product(
    wish: Wish, database: str, workers: int, doors: Sequence[str], scenarios_given: bool
) -> list[Section]:
    """Measures the product in one configuration, through each of the doors."""
    cores = Cores.divide(workers)
    sections: list[Section] = []
    if workers > 1 and not scenarios_given:
        chosen = [scenario for scenario in wish.scenarios if scenario.id in SCALING]
        wish = replace(wish, scenarios=chosen)
    with ground(wish, cores) as base:
        wish.say(f"starting the product on {database}, {workers} worker(s)")
        try:
            running = product.start(database, workers, wish.accounts, wish.port, wish.port + 2, cores, wish.scratch)
        except product.NotMeasurable as problem:
            section = Section(f"OneAI on {database}", "OneAI", database, workers, "-", cores)
            section.notes.append(f"The product did not start: {problem}")
            return [section]
        try:
            for position, name in enumerate(doors):
                if position:
                    running.restart(cores)
                door = DOORS[name]
                title = f"OneAI on {database}, {workers} worker(s), {door.path}, {wish.accounts} account(s)"
                section = Section(title, "OneAI", database, workers, name, cores)
                sections.append(section)
                target = through("OneAI", door, wish.port + 2, keys=running.keys)
                subject = Subject("OneAI", target, running.roots, running.database_roots)
                helpers = (*base.helpers, *running.helpers)
                await _measure_section(wish, section, Ground(base.direct, base.relay, helpers), subject, door)
                if wish.scenarios and workers == 1:
                    await _statements(wish, running, section, subject)
            if wish.pages and workers == 1:
                await _pages(wish, running, sections[0])
            wish.say("auditing the ledger")
            await asyncio.sleep(3)
            wrong = running.audit()
            sections[-1].notes.append(
                f"audit_ledger: {wrong}" if wrong else "audit_ledger: counters agree with the ledger."
            )
        finally:
            running.stop()
    return sections


async def measure_peer(
    wish: Wish, host: str, port: int, path: str, key: str, prefix: str, pid: int | None
) -> list[Section]:
    """Measures an OpenAI-compatible server that someone else runs on this machine.

    Its upstream must be the simulator at `wish.port`. With `pid` it is moved to the servers' core, and its
    time and memory are measured.
    """
    cores = Cores.divide(1)
    with ground(wish, cores) as base:
        roots: tuple[int, ...] = ()
        if pid:
            pin(pid, cores.server)
            roots = (pid,)
        target = through("peer", V1, port, host=host, path=path, keys=(key,), model_prefix=prefix)
        section = Section(f"peer at {host}:{port}{path}", "peer", None, 1, "v1", cores)
        await _measure_section(wish, section, base, Subject("peer", target, roots), V1)
    return [section]


async def measure_floor(wish: Wish) -> list[Section]:
    """The upstream and the bare relay alone: what this machine does without any product."""
    cores = Cores.divide(1)
    section = Section("the floor: upstream and bare relay alone", "byte proxy", None, 1, "-", cores)
    with ground(wish, cores) as base:
        for subject in (base.direct, base.relay):
            await run_load(subject.target, WARM_UP.load)
        for scenario in wish.scenarios:
            subjects = (base.direct, base.relay)
            section.samples[scenario.id] = await _rounds(wish, scenario, subjects, base.helpers)
    return [section]


def scaling(sections: Sequence[Section]) -> list[Figure]:
    """Two workers against one on PostgreSQL, where both were measured and each had a core of its own."""
    rates = {
        section.workers: section.samples["S4"][section.subject].answers_per_s
        for section in sections
        if section.database == "postgresql" and "S4" in section.samples and section.door == "v1"
    }
    alone = all(section.cores.alone for section in sections if section.workers == 2)
    if 1 not in rates or 2 not in rates:
        return []
    return [Figure("workers", rates[2] / rates[1] if alone else math.nan)]
