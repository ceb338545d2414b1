"""Breakers and the policy of stops, as pure functions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.breaker import LONGEST_REST, OPENS_AFTER, Breakers
from chat.openrouter.client import Endpoint, read_generation
from chat.openrouter.wire import read_usage
from chat.providers import GOES_ON, STOPS, stops_on_cancel
from chat.routing import Router, another_may_do
from chat.upstreams import Upstream
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


def test_a_trial_that_told_nothing_is_given_back() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(OPENS_AFTER):
        breakers.failed("m", "upstream_error")
    clock.at += LONGEST_REST
    assert breakers.trial("m") == ""
    assert breakers.resting("m")
    breakers.undecided("m")
    assert breakers.trial("m") == "", "the next may try at once"


class TestKeys:
    MODEL = cast(Any, SimpleNamespace(slug="m", upstream="openrouter"))

    def router(self) -> Router:
        return Router({"openrouter": Upstream("openrouter", "http://127.0.0.1:9", ("good", "dead"), "openrouter")})

    def endpoint(self, router: Router, key: str) -> Endpoint:
        return next(one for one in (router.endpoint("openrouter") for _ in range(4)) if one.key == key)

    def test_a_key_that_was_refused_is_taken_last(self) -> None:
        router = self.router()
        good, dead = self.endpoint(router, "good"), self.endpoint(router, "dead")
        router.failed(self.MODEL, dead, Refusal("upstream_unpaid"))
        router.failed(self.MODEL, good, Refusal("upstream_overloaded"))
        assert {router.endpoint("openrouter").key for _ in range(4)} == {"good"}

    def test_a_call_too_dear_for_a_key_says_nothing_of_the_key(self) -> None:
        router = self.router()
        for key in ("good", "dead"):
            refusal = Refusal("upstream_unpaid", details={"upstream_status": 402, "preflight": True})
            router.failed(self.MODEL, self.endpoint(router, key), refusal)
        assert {router.endpoint("openrouter").key for _ in range(4)} == {"good", "dead"}
        assert not router.refused_keys

    def test_a_refusal_of_the_content_shows_that_the_model_answers(self) -> None:
        router = self.router()
        endpoint = router.endpoint("openrouter")
        for _ in range(OPENS_AFTER - 1):
            router.failed(self.MODEL, endpoint, Refusal("upstream_error"))
        router.failed(self.MODEL, endpoint, Refusal("content_refused"))
        router.failed(self.MODEL, endpoint, Refusal("upstream_error"))
        assert not router._breakers.resting("m")


def test_more_cached_tokens_than_there_were_are_not_believed() -> None:
    usage = read_usage({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10**6}})
    assert usage is not None
    assert usage.cached_tokens == 10
    record = {"native_tokens_prompt": 10, "native_tokens_completion": 1, "native_tokens_cached": 10**6}
    generation = read_generation({"data": record})
    assert generation is not None
    assert generation.cached_tokens == 10
