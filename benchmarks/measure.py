"""One measurement: a load on a server, with the processor time and memory it took, and who disturbed it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.generator import Load, Outcome, run_load
from benchmarks.machine import Load as MachineLoad
from benchmarks.machine import cpu_seconds, resident_bytes
from benchmarks.subjects import Subject

# Of one core, over the time of a measurement: above these, it is measured again.
FOREIGN_SHARE = 0.06
STOLEN_SHARE = 0.015
_QUIET_S = 0.15
_QUIET_LIMIT_S = 5.0


@dataclass
class Sample:
    """What one measurement, or several added up, brought. Times in seconds of processor or clock."""

    outcome: Outcome = field(default_factory=Outcome)
    wall_s: float = 0.0
    server_cpu_s: float = 0.0
    database_cpu_s: float = 0.0
    load_cpu_s: float = 0.0
    foreign_s: float = 0.0
    stolen_s: float = 0.0
    resident_before: int = 0
    resident_peak: int = 0
    largest_process: int = 0
    repeated: int = 0
    disturbed: int = 0

    @property
    def is_disturbed(self) -> bool:
        """Whether another's work or the host took part of the cores meanwhile."""
        return self.foreign_s > FOREIGN_SHARE * self.wall_s or self.stolen_s > STOLEN_SHARE * self.wall_s

    def add(self, other: "Sample") -> None:
        """Takes another round in. Memory stays that of the first round: later ones reuse what it took."""
        if not self.wall_s:
            self.resident_before = other.resident_before
            self.resident_peak = other.resident_peak
            self.largest_process = other.largest_process
        self.outcome.add(other.outcome)
        self.wall_s += other.wall_s
        self.server_cpu_s += other.server_cpu_s
        self.database_cpu_s += other.database_cpu_s
        self.load_cpu_s += other.load_cpu_s
        self.foreign_s += other.foreign_s
        self.stolen_s += other.stolen_s
        self.repeated += other.repeated
        self.disturbed += other.disturbed


async def _watch(subject: Subject, peak: list[int]) -> None:
    while True:
        peak[0] = max(peak[0], sum(resident_bytes(subject.roots)))
        await asyncio.sleep(0.5)


async def _quiet(roots: Sequence[int]) -> None:
    """Waits until a server has done what it does after the last answer: that work counts too."""
    end = time.monotonic() + _QUIET_LIMIT_S
    before = cpu_seconds(roots)
    while roots and time.monotonic() < end:
        await asyncio.sleep(_QUIET_S)
        now = cpu_seconds(roots)
        if now - before <= 0.01:
            return
        before = now


async def measure(subject: Subject, load: Load, helpers: Sequence[int]) -> Sample:
    """Puts the load on once. `helpers` are the processes of the upstream and the like."""
    sample = Sample()

    def load_cpu() -> float:
        # Of this process its own time alone: the servers are its children.
        return time.process_time() + cpu_seconds(helpers)

    sizes = resident_bytes(subject.roots)
    sample.resident_before = sum(sizes)
    peak = [sample.resident_before]
    server = cpu_seconds(subject.roots)
    database = cpu_seconds(subject.database_roots)
    mine = load_cpu()
    machine, began = MachineLoad.now(), time.monotonic()
    watch = asyncio.create_task(_watch(subject, peak))
    try:
        sample.outcome = await run_load(subject.target, load)
    finally:
        watch.cancel()
    sample.load_cpu_s = load_cpu() - mine
    peak[0] = max(peak[0], sum(resident_bytes(subject.roots)))
    await _quiet([*subject.roots, *subject.database_roots])
    sample.server_cpu_s = cpu_seconds(subject.roots) - server
    sample.database_cpu_s = cpu_seconds(subject.database_roots) - database
    known = sample.server_cpu_s + sample.database_cpu_s + load_cpu() - mine
    after = MachineLoad.now()
    sample.wall_s = time.monotonic() - began
    sample.stolen_s = after.stolen - machine.stolen
    sample.foreign_s = max(0.0, after.busy - machine.busy - known)
    sample.resident_peak = peak[0]
    sample.largest_process = max(sizes, default=0)
    return sample


async def measure_calmly(subject: Subject, load: Load, helpers: Sequence[int]) -> Sample:
    """As `measure`; a disturbed measurement is made once more, and the calmer one counts."""
    first = await measure(subject, load, helpers)
    if not first.is_disturbed:
        return first
    await asyncio.sleep(1.0)
    second = await measure(subject, load, helpers)
    better = min(first, second, key=lambda sample: (sample.foreign_s + sample.stolen_s) / sample.wall_s)
    # Memory grows at the first time only.
    better.resident_before, better.resident_peak = first.resident_before, first.resident_peak
    better.repeated = 1
    better.disturbed = int(better.is_disturbed)
    return better
