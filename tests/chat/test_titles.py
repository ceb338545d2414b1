"""Titles by a model: made beside the answers, paid by the platform, never in a person's way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from accounts.platform import ADDRESS, PLATFORM_ID
from chat import sweeper, title_rows, titles
from chat.catalog import CatalogModel, Price
from chat.models import AIModel, Conversation, Message, ModelPrice
from chat.settling import free_of_charge
from oneai.kit.clock import uuid7
from quotas.audit import replay, replay_platform
from quotas.models import Hold, UsageRecord
from tests.chat.client import Chat, dispatches
from tests.servers.site import Site

NAMER = "openai/gpt-4o"


def until(seen: Callable[[], Any], seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while not (value := seen()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return value


def asked_for_titles(site: Site) -> list[dict[str, Any]]:
    return [one for one in dispatches(site) if one["max_tokens"] == title_rows.MOST_TOKENS]


def title_of(chat: Chat, conversation_id: str) -> str:
    return str(chat.http.get(f"/api/conversations/{conversation_id}").json()["title"])


def paid_by_the_platform(site: Site) -> list[dict[str, Any]]:
    code = (
        "import json; from quotas.models import UsageRecord, Hold; from accounts.platform import PLATFORM_ID; "
        "print(json.dumps({'records': [[str(r.conversation_id), r.tokens, r.source] for r in "
        "UsageRecord.objects.filter(user_id=PLATFORM_ID)], "
        "'open': Hold.objects.filter(user_id=PLATFORM_ID, state__in=['held', 'orphaned']).count()}))"
    )
    found = json.loads(site.command("shell", "-c", code).strip().splitlines()[-1])
    return list(found["records"]) if found["open"] == 0 else []


@pytest.mark.slow
def test_a_model_names_a_conversation_once_at_the_platform_s_expense(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(processes=2, worker=False, settings={"TITLE_MODEL": NAMER})
    before = len(asked_for_titles(site))
    chat = Chat(site, site.new_user())
    question = "Explain how the tides work, and why there are two of them in a day, please"
    turn = chat.send(question)
    first = turn.one("conversation.updated")["title"]
    assert first == titles.from_words(question)
    conversation = turn.started["conversation_id"]
    named = chat.http.post("/api/conversations", json={"title": "Mine"}).json()["id"]
    chat.send("Hello.", conversation_id=named)
    passing = chat.send("Hello again.", temporary=True)
    used = chat.used
    title = until(lambda: title_of(chat, conversation) != first and title_of(chat, conversation))
    assert 0 < len(title) <= titles.LONGEST
    assert title == " ".join(title.split())
    (call,) = asked_for_titles(site)[before:]
    assert call["requested_models"] == [NAMER]
    assert call["usage"]["completion_tokens"] <= title_rows.MOST_TOKENS
    assert chat.used == used
    assert chat.held == 0
    time.sleep(2.5)  # two looks of each process
    assert len(asked_for_titles(site)) == before + 1
    assert title_of(chat, named) == "Mine"
    assert passing.status == 200
    until(lambda: paid_by_the_platform(site))
    assert paid_by_the_platform(site) == [[conversation, call["usage"]["total_tokens"], "upstream_final"]]
    site.command("audit_ledger")


def test_a_model_that_fails_costs_nobody_an_answer_or_a_token(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(worker=False, settings={"TITLE_MODEL": "sandbox/http-500"})
    before = len(asked_for_titles(site))
    chat = Chat(site, site.new_user())
    turn = chat.send("What is a leap second?")
    assert turn.closing.name == "message.completed"
    until(lambda: len(asked_for_titles(site)) > before)
    until(lambda: "title_not_made" in site.log_path.read_text())
    again = chat.send("And a leap year?", conversation_id=turn.started["conversation_id"])
    assert again.closing.name == "message.completed"
    assert title_of(chat, turn.started["conversation_id"]) == "What is a leap second?"
    assert len(asked_for_titles(site)) == before + 1  # the next try is a minute away
    assert until(lambda: paid_by_the_platform(site)) == [[turn.started["conversation_id"], 0, "local_estimate"]]
    site.command("audit_ledger")


# The rows -----------------------------------------------------------------------------------------


@pytest.fixture
def model() -> CatalogModel:
    row = AIModel.objects.create(slug="maker/namer", upstream_slug="maker/namer", name="Namer")
    price = ModelPrice.objects.create(model=row, version=1, prompt_pico_usd=150_000, completion_pico_usd=600_000)
    return CatalogModel(
        id=row.id, slug=row.slug, upstream="openrouter", upstream_slug=row.slug, name=row.name, context_length=None,
        max_output=None, input_modalities=("text",), supports=(), price=Price(price.id, 150_000, 600_000, None, 0, 0),
        usable=True, reason="", listed=True, released_at=None,
    )  # fmt: skip


def conversation(**fields: Any) -> Conversation:
    user = User.objects.create_user(f"{uuid7()}@example.com")
    found = Conversation.objects.create(user=user, title="first words", **fields)
    asked = Message.objects.create(conversation=found, user=user, role="user", content="q" * 5000)
    Message.objects.create(
        conversation=found, user=user, role="assistant", content="a" * 5000, parent_message=asked, model_id="m"
    )
    return found


def sound() -> bool:
    return not (replay(PLATFORM_ID) or replay_platform())


@pytest.mark.django_db(transaction=True)
def test_a_call_whose_process_died_is_charged_to_the_platform_and_tried_again(model: CatalogModel) -> None:
    found = conversation()
    wanted = title_rows.claim(model, "worker")
    assert wanted is not None
    assert sum(len(message["content"]) for message in wanted.messages[1:]) <= title_rows.LONGEST_INPUT + 40
    assert wanted.max_tokens == title_rows.MOST_TOKENS
    assert title_rows.claim(model, "another") is None
    assert sweeper.sweep_once() == 0
    assert sound()
    past = timezone.now() - timedelta(minutes=2)
    Hold.objects.filter(id=wanted.hold_id).update(check_at=past)
    assert sweeper.sweep_once() == 1
    (record,) = UsageRecord.objects.filter(user_id=PLATFORM_ID)
    assert (record.source, record.conversation_id) == ("hold_amount", found.id)
    assert sound()
    nothing = free_of_charge("", found.id)
    title_rows.settle(wanted.hold_id, nothing)  # the process was only slow: nothing is left for it to do
    assert sound()
    for _ in range(title_rows.MOST_TRIES - 1):
        Conversation.objects.update(title_tried_at=past)
        again = title_rows.claim(model, "another")
        assert again is not None
        title_rows.settle(again.hold_id, nothing)
    Conversation.objects.update(title_tried_at=past)
    assert title_rows.claim(model, "another") is None
    assert sound()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "fields",
    [
        {"title_source": "user"},
        {"temporary": True},
        {"deleted_at": timezone.now()},
        {"created_at": timezone.now() - timedelta(hours=2)},
        {"title_tries": title_rows.MOST_TRIES},
    ],
)
def test_only_new_conversations_that_nobody_has_named_are_named(model: CatalogModel, fields: dict[str, Any]) -> None:
    conversation(**fields)
    assert title_rows.claim(model, "worker") is None


@pytest.mark.django_db
def test_a_name_that_a_person_gave_meanwhile_stays() -> None:
    found = conversation()
    title_rows.keep(found.id, "A model's name")
    found.refresh_from_db()
    assert (found.title, found.title_source) == ("A model's name", "model")
    other = conversation(title_source="user")
    title_rows.keep(other.id, "A model's name")
    other.refresh_from_db()
    assert other.title == "first words"


@pytest.mark.django_db(transaction=True)
def test_nobody_can_sign_in_as_the_platform(model: CatalogModel) -> None:
    conversation()
    assert title_rows.claim(model, "worker") is not None
    platform = User.objects.get(id=PLATFORM_ID)
    assert (platform.email, platform.is_active, platform.role) == (ADDRESS, False, "user")
    assert not platform.has_usable_password()


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Tides and the Moon", "Tides and the Moon"),
        ('"Tides and the Moon."', "Tides and the Moon"),
        ("Title: **Tides**\n\nAnd more.", "Tides"),
        ("\n\n# Tides\r\nof the sea", "Tides"),
        ("<script>alert(1)</script>", "<scriptalert(1)</script"),
        ("a\u202eb\u0007c\ufeff", "abc"),
        ("👩‍👩‍👧 Family", "👩‍👩‍👧 Family"),
        ("word " * 40, "word word word word word word word word word word word…"),
        ("", ""),
        ('""', ""),
        ("***", ""),
    ],
)
def test_what_a_model_says_becomes_one_line_of_plain_text(said: str, title: str) -> None:
    assert titles.from_model(said) == title


def test_a_conversation_without_words_has_a_title_all_the_same() -> None:
    assert titles.from_words("###\n\u202e") == titles.UNTITLED
