"""The scenarios: what is asked of every server, the same of each."""

from dataclasses import dataclass, replace

from benchmarks.answers import slug
from benchmarks.generator import Load


@dataclass(frozen=True)
class Scenario:
    """One kind of load. The model of its load tells chunks and delay."""

    id: str
    says: str
    load: Load

    @property
    def model(self) -> str:
        """The model's name, which tells the simulator what to answer."""
        return self.load.model


def _load(chunks: int, delay_ms: int, connections: int, requests: int, ramp_s: float = 0.0) -> Load:
    return Load(slug(chunks, delay_ms), chunks, connections, requests, ramp_s=ramp_s)


_BURST = replace(_load(20, 0, 32, 20_000), seconds=4.0)

# S3 stands first: memory per stream is only true of a process that has not served 500 before.
SCENARIOS = {
    scenario.id: scenario
    for scenario in (
        Scenario(
            "S3",
            "500 streams, 100 chunks, 50 ms apart, begun within 2 s",
            _load(100, 50, 500, 500, ramp_s=2.0),
        ),
        Scenario("S1", "one stream after the other, 200 chunks, no delay", _load(200, 0, 1, 200)),
        Scenario(
            "S2",
            "50 streams, 200 chunks, 10 ms apart, begun within 0.5 s",
            _load(200, 10, 50, 50, ramp_s=0.5),
        ),
        Scenario("S4", "answers of 20 tokens, not streamed, 32 at once, no delay", replace(_BURST, streaming=False)),
        Scenario("S6", "answers of 20 tokens, streamed, 32 at once, no delay", _BURST),
        Scenario(
            "S7",
            "1,000 streams, 100 chunks, 50 ms apart, begun within 2.5 s",
            _load(100, 50, 1000, 1000, ramp_s=2.5),
        ),
    )
}

WARM_UP = Scenario("warm-up", "", replace(_load(20, 0, 8, 200), seconds=10.0))

# As many at once as the target for statements names.
EIGHT = Scenario("statements", "", replace(_load(20, 0, 8, 400), seconds=20.0))


def quick(scenario: Scenario) -> Scenario:
    """The same load for a shorter time; the streams at once stay as they are."""
    if scenario.load.seconds < 10:
        return replace(scenario, load=replace(scenario.load, seconds=1.5))
    if scenario.id == "S1":
        return replace(scenario, load=replace(scenario.load, requests=50))
    return scenario
