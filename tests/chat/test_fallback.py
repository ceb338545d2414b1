"""Before the first token another model or key answers, at its own price, and everybody is told; after it, none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.chat.client import Chat, Turn, dispatches, records
from tests.servers.site import Site

SHELL = """
from chat import catalog_sync
from chat.models import AIModel
for slug, fallbacks in {named!r}.items():
    catalog_sync.set_fallbacks(AIModel.objects.get(slug=slug).pk, fallbacks)
"""


def fall_back(site: Site, **lists: list[str]) -> None:
    """Name the fallbacks of sandbox models, as the staff desk does, before the site starts."""
    named = {f"sandbox/{name.replace('_', '-')}": slugs for name, slugs in lists.items()}
    site.command("shell", "-v", "0", "-c", SHELL.format(named=named))


@pytest.fixture(scope="module")
def site(own_site: Callable[..., Site]) -> Site:
    lists = {
        "http_503": ["sandbox/hello"],
        "http_500": ["sandbox/http-502", "sandbox/hello"],
        "http_524": ["openai/gpt-4o-mini"],
        "garbage": ["sandbox/hello"],
        "error_in_200": ["sandbox/hello"],
        "cut_first": ["sandbox/hello"],
        "midstream_error_first": ["sandbox/hello"],
        "http_404_deprecated": ["sandbox/hello"],
        "http_403_moderation": ["sandbox/hello"],
        "http_400_context": ["sandbox/hello"],
        "cut": ["sandbox/hello"],
        "http_529": ["deepseek/deepseek-r1", "sandbox/tool-call"],
    }
    return own_site(worker=False, prepare=lambda site: fall_back(site, **lists))


@pytest.fixture
def chat(site: Site) -> Chat:
    return Chat(site, site.new_user("team"))


def settled(chat: Chat) -> int:
    deadline = time.monotonic() + 40
    while chat.held and time.monotonic() < deadline:
        time.sleep(0.1)
    assert chat.held == 0
    return chat.used


def names(turn: Turn) -> list[str]:
    return [event.name for event in turn.events]


@pytest.mark.parametrize(
    ("slug", "code"),
    [
        ("http-503", "upstream_overloaded"),
        ("garbage", "upstream_invalid"),
        ("cut-first", "upstream_interrupted"),
        ("midstream-error-first", "upstream_error"),
        ("http-404-deprecated", "upstream_refused"),
    ],
)
def test_another_model_answers_before_the_first_token_and_the_reader_is_told(chat: Chat, slug: str, code: str) -> None:
    seen = len(dispatches(chat.site))
    turn = chat.send("Hello", f"sandbox/{slug}")
    told = turn.one("message.model")
    assert told == {"message_id": turn.message_id, "model": "sandbox/hello", "reason": code}
    assert names(turn).index("message.model") < names(turn).index("message.delta")
    assert turn.started["messages"][0]["model"] == f"sandbox/{slug}"
    assert turn.closing.name == "message.completed"
    assert turn.closing.data["model"] == "sandbox/hello"
    stored = chat.message(turn)
    assert (stored["model"], stored["content"], stored["status"]) == ("sandbox/hello", turn.text, "complete")
    new = dispatches(chat.site)[seen:]
    assert len(new) == 2
    assert settled(chat) == turn.closing.data["usage"]["total_tokens"] == new[1]["usage"]["total_tokens"]
    recorded = records([chat])
    assert [recorded.pop(call["metadata"]["call"])[1] for call in new] == [0, new[1]["usage"]["total_tokens"]]
    assert not recorded
    again = chat.resume(turn.started["turn_id"])
    assert again.one("message.model") == told


def test_at_most_two_are_tried(chat: Chat) -> None:
    seen = len(dispatches(chat.site))
    turn = chat.send("Hello", "sandbox/http-500")
    assert turn.closing.name == "message.failed"
    assert turn.closing.data["error"]["code"] == "upstream_error"
    assert turn.one("message.model")["model"] == "sandbox/http-502"
    assert [one["model"] for one in dispatches(chat.site)[seen:]] == ["sandbox/http-500", "sandbox/http-502"]
    assert settled(chat) == 0


@pytest.mark.parametrize("slug", ["http-403-moderation", "http-400-context"])
def test_what_is_wrong_with_the_request_is_not_carried_to_another_model(chat: Chat, slug: str) -> None:
    turn = chat.send("Hello", f"sandbox/{slug}")
    assert turn.closing.name == "message.failed"
    assert "message.model" not in names(turn)


def test_after_the_first_token_nobody_takes_over(chat: Chat) -> None:
    turn = chat.send("Tell me a story.", "sandbox/cut")
    assert "message.model" not in names(turn)
    assert turn.closing.data["error"]["code"] == "upstream_interrupted"
    assert chat.message(turn)["content"] == turn.text != ""


def test_a_key_that_allows_only_the_first_model_gets_no_other(site: Site) -> None:
    user = site.new_user("team")
    code = (
        "from accounts.models import ApiKey; "
        f"ApiKey.objects.filter(user__email={user.email!r}).update(allowed_models=['sandbox/http-503'])"
    )
    site.command("shell", "-v", "0", "-c", code)
    turn = Chat(site, user).send("Hello", "sandbox/http-503")
    assert turn.closing.data["error"]["code"] == "upstream_overloaded"
    assert "message.model" not in names(turn)


@pytest.mark.slow
def test_a_plan_that_can_not_pay_the_other_model_ends_as_the_first_failed(site: Site) -> None:
    chat = Chat(site, site.new_user("team"))
    spent = chat.send("Hello", "sandbox/hello").closing.data["usage"]["total_tokens"]
    site.command("set_quota", chat.user.email, "--model", "sandbox/hello", "--tokens", str(spent), "--reason", "test")
    turn = chat.send("Hello", "sandbox/http-503")
    assert turn.closing.name == "message.failed"
    assert turn.closing.data["error"]["code"] == "upstream_overloaded"
    assert settled(chat) == spent
    assert "0 differences" in site.command("audit_ledger", chat.user.email)


def test_each_side_falls_back_by_itself(chat: Chat) -> None:
    turn = chat.send("Hello", None, models=["sandbox/http-503", "sandbox/emoji"])
    first, second = (one["message_id"] for one in turn.started["messages"])
    told = turn.one("message.model")
    assert (told["message_id"], told["model"]) == (first, "sandbox/hello")
    done = {event.data["message_id"]: event.data["model"] for event in turn.events if event.name == "message.completed"}
    assert done == {first: "sandbox/hello", second: "sandbox/emoji"}


def test_v1_answers_by_the_other_model_and_names_it(chat: Chat) -> None:
    body = {"model": "sandbox/http-503", "messages": [{"role": "user", "content": "Hello"}]}
    whole = chat.http.post("/v1/chat/completions", json=body)
    assert whole.status_code == 200, whole.text
    assert whole.json()["model"] == "sandbox/hello"
    streamed = chat.http.post("/v1/chat/completions", json=body | {"stream": True})
    assert streamed.status_code == 200
    assert '"model":"sandbox/hello"' in streamed.text
    assert '"model":"sandbox/http-503"' not in streamed.text


def test_what_keeps_failing_is_not_asked_while_another_can_answer(chat: Chat) -> None:
    """Its own model, since a breaker is a process's."""
    for _ in range(3):
        assert (
            chat.send("Hello", "sandbox/http-524", max_tokens=16).one("message.model")["reason"] == "upstream_timeout"
        )
    seen = len(dispatches(chat.site))
    turn = chat.send("Hello", "sandbox/http-524", max_tokens=16)
    assert turn.one("message.model")["model"] == "openai/gpt-4o-mini"
    assert [one["model"] for one in dispatches(chat.site)[seen:]] == ["openai/gpt-4o-mini"]


def test_what_can_not_see_is_not_asked_to_look(chat: Chat) -> None:
    """A fallback that lacks what the call needs is passed over."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body: dict[str, Any] = {
        "model": "sandbox/http-529",
        "messages": [{"role": "user", "content": "Hello"}],
        "tools": [tool],
    }
    answer = chat.http.post("/v1/chat/completions", json=body).json()
    assert answer["model"] == "sandbox/tool-call"
    assert answer["choices"][0]["message"]["tool_calls"]


@pytest.mark.slow
def test_a_reader_of_another_process_is_told_the_same(own_site: Callable[..., Site]) -> None:
    site = own_site(processes=2, worker=False, prepare=lambda site: fall_back(site, http_503=["sandbox/slow"]))
    chat = Chat(site, site.new_user("team"))
    with chat.opened("Tell me.", "sandbox/http-503", max_tokens=40) as (_, events):
        turn_id = next(events).data["turn_id"]
        for _ in range(6):  # each on a new connection, of which some process takes it
            told = Chat(site, chat.user).resume(turn_id)
            assert told.started["messages"][0]["model"] == "sandbox/http-503"
            assert told.one("message.model")["reason"] == "upstream_overloaded"
            assert names(told).index("message.model") < names(told).index("message.delta")


def test_a_refused_key_is_replaced_by_the_next_and_rests(own_site: Callable[..., Site]) -> None:
    site = own_site(worker=False, settings={"OPENROUTER_API_KEY": "sk-or-good-1,sk-or-revoked-2"})
    chat = Chat(site, site.new_user("team"))
    seen = len(dispatches(site))
    turns = [chat.send("Hello", "sandbox/hello") for _ in range(6)]
    assert [turn.closing.name for turn in turns] == ["message.completed"] * 6
    assert not any("message.model" in names(turn) for turn in turns), "the model is the same"
    statuses = [one["http_status"] for one in dispatches(site)[seen:]]
    assert statuses.count(401) == 1, "a key that was refused is not tried again at once"
    assert settled(chat) == sum(turn.closing.data["usage"]["total_tokens"] for turn in turns)
    assert "0 differences" in site.command("audit_ledger", chat.user.email)


@pytest.mark.slow
def test_a_breaker_refuses_nobody_whose_fallback_is_closed(site: Site) -> None:
    """Its own model, since a breaker is a process's; the key allows that one alone."""
    chat, user = Chat(site, site.new_user("team")), site.new_user("team")
    for _ in range(3):
        assert chat.send("Hello", "sandbox/error-in-200", max_tokens=16).one("message.model")
    code = (
        "from accounts.models import ApiKey; "
        f"ApiKey.objects.filter(user__email={user.email!r}).update(allowed_models=['sandbox/error-in-200'])"
    )
    site.command("shell", "-v", "0", "-c", code)
    seen = len(dispatches(site))
    assert Chat(site, user).send("Hello", "sandbox/error-in-200").closing.name == "message.failed"
    assert [one["model"] for one in dispatches(site)[seen:]] == ["sandbox/error-in-200"], "it was asked as ever"
