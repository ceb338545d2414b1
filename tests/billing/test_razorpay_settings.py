"""The settings of payments: all or none, and nothing under which anybody could sign an event."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneai.settings import razorpay

GOOD = {
    "RAZORPAY_KEY_ID": "rzp_live_AAAAAAAAAAAA01",
    "RAZORPAY_KEY_SECRET": "secret",
    "RAZORPAY_WEBHOOK_SECRET": "w" * 32,
}


def problems(monkeypatch: pytest.MonkeyPatch, *, home: bool = False, **changes: str) -> list[str]:
    for name, value in (GOOD | changes).items():
        monkeypatch.setenv(name, value)
    return razorpay.problems(only_this_machine=home)


def test_all_set_and_all_empty_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(monkeypatch) == []
    assert problems(monkeypatch, RAZORPAY_WEBHOOK_SECRET=f"{'n' * 32}, {'o' * 40}") == []
    assert problems(monkeypatch, **dict.fromkeys(GOOD, "")) == []
    assert problems(monkeypatch, **dict.fromkeys(GOOD, ""), RAZORPAY_BASE_URL="http://127.0.0.1:1") == []


@pytest.mark.parametrize("name", GOOD)
def test_one_missing_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert problems(monkeypatch, **{name: " "}) == [f"Razorpay is set in part: {name} is missing"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"RAZORPAY_WEBHOOK_SECRET": "w" * 31}, "fewer than 32 characters"),
        ({"RAZORPAY_WEBHOOK_SECRET": f"{'w' * 32},short"}, "fewer than 32 characters"),
        ({"RAZORPAY_WEBHOOK_SECRET": ",".join(["w" * 32] * 3)}, "more than two"),
        ({"RAZORPAY_WEBHOOK_SECRET": ",,"}, "commas and no secret"),
        ({"RAZORPAY_WEBHOOK_SECRET": razorpay.SANDBOX_WEBHOOK_SECRET}, "everybody can read"),
        ({"RAZORPAY_KEY_ID": "AAAAAAAAAAAA01"}, "rzp_test_ or rzp_live_"),
        ({"RAZORPAY_BASE_URL": "http://api.example.com"}, "RAZORPAY_BASE_URL must be https://"),
        ({"RAZORPAY_CHECKOUT_URL": "http://api.example.com/c.js"}, "RAZORPAY_CHECKOUT_URL must be https://"),
        ({"RAZORPAY_BASE_URL": "https://api.example.com?x=1"}, "neither query nor fragment"),
    ],
)
def test_what_is_unsafe_is_named(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], says: str) -> None:
    [problem] = problems(monkeypatch, **changes)
    assert says in problem


def test_the_sandbox_is_good_enough_for_a_machine_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = {
        "RAZORPAY_KEY_ID": razorpay.SANDBOX_KEY_ID,
        "RAZORPAY_KEY_SECRET": razorpay.SANDBOX_KEY_SECRET,
        "RAZORPAY_WEBHOOK_SECRET": razorpay.SANDBOX_WEBHOOK_SECRET,
        "RAZORPAY_BASE_URL": "http://127.0.0.1:8010/razorpay",
    }
    assert problems(monkeypatch, home=True, **sandbox) == []


def test_secrets_may_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in GOOD.items():
        path = tmp_path / name
        path.write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(path))
    assert razorpay.problems(only_this_machine=False) == []
    (tmp_path / "RAZORPAY_WEBHOOK_SECRET").write_text("")
    assert razorpay.problems(only_this_machine=False) == ["Razorpay is set in part: RAZORPAY_WEBHOOK_SECRET is missing"]
