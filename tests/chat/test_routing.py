"""Breakers and the policy of stops, as pure functions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.breaker import LONGEST_REST, OPENS_AFTER, Breakers
from chat.providers import GOES_ON, STOPS, stops_on_cancel
from chat.routing import another_may_do
from oneai.kit.errors import Refusal

PAGE = Path(__file__).resolve().parents[2] / "docs" / "stopping.md"


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_breaker_opens_after_failures_in_a_row_lets_one_try_and_closes_on_success() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(OPENS_AFTER - 1):
        breakers.failed("m", "upstream_error")
    assert breakers.resting("m") == ""
    breakers.failed("m", "upstream_timeout")
    assert breakers.resting("m") == "upstream_timeout"
    clock.at += LONGEST_REST
    assert breakers.trial("m") == "", "one may try"
    assert breakers.trial("m") == "upstream_timeout", "the others wait for the outcome"
    breakers.worked("m")
    assert breakers.trial("m") == breakers.trial("m") == ""


@given(st.lists(st.tuples(st.sampled_from(["fail", "work", "look"]), st.floats(0, 40)), max_size=60))
def test_a_breaker_never_rests_longer_than_its_longest_rest(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    breakers = Breakers(clock)
    row = 0
    for step, wait in steps:
        clock.at += wait
        if step == "fail":
            breakers.failed("m", "upstream_error")
            row += 1
        elif step == "work":
            breakers.worked("m")
            row = 0
        if row < OPENS_AFTER:
            assert breakers.resting("m") == ""
        now, clock.at = clock.at, clock.at + LONGEST_REST
        assert breakers.resting("m") == ""
        clock.at = now


def test_a_key_rests_at_once_for_as_long_as_is_said() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    breakers.failed("key", "upstream_unconfigured", rest=60.0)
    clock.at = 59.0
    assert breakers.resting("key")
    clock.at = 60.0
    assert not breakers.resting("key")


@pytest.mark.parametrize(
    ("refusal", "may"),
    [
        (Refusal("upstream_overloaded"), True),
        (Refusal("upstream_unpaid"), True),
        (Refusal("upstream_refused", details={"upstream_status": 404}), True),
        (Refusal("upstream_refused", details={"upstream_status": 400}), False),
        (Refusal("content_refused"), False),
        (Refusal("context_length_exceeded"), False),
        (Refusal("restarted"), False),
        (Refusal("internal_error"), False),
    ],
)
def test_only_what_another_could_mend_is_carried_on(refusal: Refusal, may: bool) -> None:
    assert another_may_do(refusal) is may


def test_who_is_not_known_to_stop_goes_on() -> None:
    assert all(stops_on_cancel("openrouter", name) for name in STOPS)
    assert not any(stops_on_cancel("openrouter", name) for name in (*GOES_ON, "", "Somebody New"))
    assert stops_on_cancel("openrouter", "deep infra"), "however it is spelled"
    assert stops_on_cancel("openai", "")


def test_the_page_says_what_every_provider_does() -> None:
    said = dict(
        line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")
    )
    assert {name: said.get(name) for name in STOPS} == dict.fromkeys(STOPS, "stops")
    assert {name: said.get(name) for name in GOES_ON} == dict.fromkeys(GOES_ON, "goes on")
