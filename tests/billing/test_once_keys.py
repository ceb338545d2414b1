"""The key of an order: which ones are taken, and what is the same request under one."""

from __future__ import annotations

import pytest

from billing.once_keys import NOTHING, asked
from oneai.kit.clock import uuid7
from oneai.kit.errors import Refusal

ASHA, RAVI = uuid7(), uuid7()


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "a\x00b", "\x7f"])
def test_a_key_that_can_not_be_kept_is_refused(key: str) -> None:
    with pytest.raises(Refusal) as refusal:
        asked(ASHA, key, "order", {})
    assert refusal.value.code == "invalid_value" and "1 to 200" in refusal.value.text


@pytest.mark.parametrize("key", ["x", "x" * 200, "पहली बार"])
def test_a_key_of_up_to_two_hundred_printable_characters_is_taken(key: str) -> None:
    found = asked(ASHA, key, "order", {"pack": "small"})
    assert found.key is not None and found.key.startswith(found.prefix) and len(found.key) == 80


def test_without_a_key_each_request_is_its_own() -> None:
    assert asked(ASHA, None, "order", {"pack": "small"}) is NOTHING and NOTHING.key is None


def test_the_same_request_is_known_whatever_the_order_of_its_fields() -> None:
    first = asked(ASHA, "k", "order", {"pack": "small", "coupon": ""})
    assert first == asked(ASHA, "k", "order", {"coupon": "", "pack": "small"})
    other = asked(ASHA, "k", "order", {"pack": "large", "coupon": ""})
    assert (other.prefix, other.key == first.key) == (first.prefix, False)


def test_a_key_is_of_one_person_and_of_one_kind_of_request() -> None:
    prefixes = {
        asked(user, key, what, {}).prefix for user in (ASHA, RAVI) for key in ("k", "l") for what in ("order", "plan")
    }
    assert len(prefixes) == 8
