"""The catalogue: healthy rows, a priced row for every scenario, and the odd rows that break careless readers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.tokens import count, pieces, prompt_tokens
from tests.sandbox.wire import Client


@pytest.fixture
def rows(box: Client) -> dict[str, Any]:
    status, answer = box.api("/models", key=None)
    assert status == 200 and answer["total_count"] == len(answer["data"])
    return {row["id"]: row for row in answer["data"]}


def test_a_dozen_ordinary_models_have_prices_as_strings(rows: Mapping[str, Any]) -> None:
    ordinary = [row for name, row in rows.items() if name.split("/")[0] not in ("sandbox", "oddities")]
    priced = [row for row in ordinary if Decimal(row["pricing"]["completion"]) > 0]
    assert len(priced) >= 12
    assert all(isinstance(row["pricing"]["prompt"], str) for row in priced)
    assert any(name.endswith(":free") for name in rows)
    assert any("image" in row["architecture"]["input_modalities"] for row in ordinary)
    assert any("reasoning" in row["supported_parameters"] for row in ordinary)


def test_every_scenario_has_a_priced_row(box: Client, rows: Mapping[str, Any]) -> None:
    for slug in box.control("scenarios"):
        assert Decimal(rows[slug]["pricing"]["completion"]) > 0, slug
        assert rows[slug]["context_length"] > 0


def test_odd_rows_are_there(rows: Mapping[str, Any]) -> None:
    assert rows["openrouter/auto"]["pricing"]["prompt"] == "-1"
    assert rows["oddities/null-context"]["context_length"] is None
    assert rows["oddities/no-pricing"]["pricing"] == {}
    assert "completion" not in rows["oddities/no-completion-price"]["pricing"]
    assert "e" in rows["oddities/exponent-price"]["pricing"]["prompt"]
    assert rows["oddities/expired"]["expiration_date"] < "2026"
    assert rows["oddities/overrides"]["pricing"]["overrides"][0]["min_prompt_tokens"] == 1000
    assert "top_provider" not in rows["oddities/bare"]


def test_an_expired_model_is_refused(box: Client) -> None:
    assert box.chat("oddities/expired").json["error"]["availability"]["code"] == "model_deprecated"


def test_pages_are_given_when_asked_for(box: Client) -> None:
    first = box.api("/models?limit=10")[1]
    assert len(first["data"]) == 10 and "offset=10" in first["links"]["next"]


def test_endpoints_name_the_provider(box: Client) -> None:
    status, answer = box.api("/models/openai/gpt-4o/endpoints")
    assert status == 200 and answer["data"]["endpoints"][0]["provider_name"] == "OpenAI"


@settings(max_examples=60)
@given(st.text())
def test_pieces_join_to_the_text_and_no_token_is_less_than_a_byte(text: str) -> None:
    cut = list(pieces(text))
    assert "".join(piece for piece, _ in cut) == text
    assert all(1 <= tokens <= len(piece.encode()) for piece, tokens in cut)


@settings(max_examples=60)
@given(st.lists(st.text(), min_size=1, max_size=5))
def test_prompt_tokens_stay_within_the_bytes_and_eight_a_message(texts: list[str]) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    assert prompt_tokens(messages) <= sum(len(text.encode()) + 8 for text in texts)


def test_words_of_one_length_differ_in_tokens() -> None:
    assert len({count(word) for word in ("internationally", "straightforward", "recommendations")}) > 1
