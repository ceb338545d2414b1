"""A refused send costs no history: what it asks for is looked at only when everything cheap lets it pass."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.claims import Claim
from accounts.models import User
from accounts.principal import Principal
from chat import catalog, turns
from chat.models import Conversation, Message
from chat.turn_jobs import Kind, Start, Started
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from quotas import allowances
from quotas.models import QuotaAccount
from tests.chat.people import conversation, thread
from tests.chat.upstream_catalogue import UpstreamCatalogue

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def talk(alice: User, models: UpstreamCatalogue) -> Conversation:
    made = conversation(alice)
    thread(made, 40)
    return made


def start(owner: User, talk_id: UUID | None, **fields: object) -> Start:
    claim = Claim(
        principal=Principal(
            user_id=owner.pk, email=owner.email, role=owner.role, method="jwt", seal=str(owner.token_epoch),
        )
    )  # fmt: skip
    return Start(
        claim=claim, door="api", worker="w", models=[catalog.usable("cheap/small")], content="hi",
        conversation_id=talk_id, **fields,  # type: ignore[arg-type]
    )  # fmt: skip


def told(jobs: list[Start]) -> tuple[list[object], list[str]]:
    """What each job was told, and the statements that it took."""
    with CaptureQueriesContext(connection) as captured:
        results = turns.apply(jobs)
    return results, [query["sql"] for query in captured.captured_queries]


def walks(statements: list[str]) -> int:
    return sum("RECURSIVE" in sql for sql in statements)


def texts_read(statements: list[str]) -> int:
    return sum(sql.startswith("SELECT id,content FROM chat_messages") for sql in statements)


def codes(results: list[object]) -> list[str]:
    return [result.code if isinstance(result, Refusal) else type(result).__name__ for result in results]


@pytest.mark.parametrize(
    ("rates", "code"),
    [
        ({"requests_per_minute": 0}, "rate_limited"),
        ({"tokens_per_minute": 0}, "rate_limited"),
        ({"concurrent_generations": 0}, "too_many_generations"),
    ],
)
def test_a_flood_that_rates_refuse_reads_no_history(
    alice: User, talk: Conversation, rates: dict[str, int], code: str
) -> None:
    limit(alice, **rates)
    results, statements = told([start(alice, talk.pk) for _ in range(20)])
    assert codes(results) == [code] * 20
    assert (walks(statements), texts_read(statements)) == (0, 0)
    assert QuotaAccount.objects.get(user=alice).in_flight == 0


def limit(who: User, **rates: int) -> None:
    """These rates and no others."""
    none = {"requests_per_minute": None, "tokens_per_minute": None, "concurrent_generations": None}
    with transaction.atomic():
        allowances.set_rates(who.pk, none | rates, "test", "test")


def test_of_a_flood_only_as_many_histories_are_measured_as_may_be_answered(alice: User, talk: Conversation) -> None:
    limit(alice, concurrent_generations=1)
    results, statements = told([start(alice, talk.pk) for _ in range(20)])
    assert codes(results) == ["Started", *["conflict"] * 19]
    assert (walks(statements), texts_read(statements)) == (1, 1)
    first = results[0]
    assert isinstance(first, Started)
    assert first.context == {"included_messages": 41, "omitted_messages": 0}
    assert [one["content"] for one in first.generations[0].prompt][-2:] == ["message 39", "hi"]
    other = conversation(alice)
    thread(other, 4)
    results, statements = told([start(alice, other.pk) for _ in range(20)])
    assert codes(results) == ["too_many_generations"] * 20
    assert (walks(statements), texts_read(statements)) == (0, 0)


def test_many_people_s_histories_are_measured_by_one_statement(alice: User, bob: User, talk: Conversation) -> None:
    other = conversation(bob)
    thread(other, 6)
    results, statements = told([start(alice, talk.pk), start(bob, other.pk), start(bob, None)])
    assert codes(results) == ["Started"] * 3
    assert (walks(statements), texts_read(statements)) == (1, 1)
    prompts = [result.generations[0].prompt for result in results if isinstance(result, Started)]
    assert [len(prompt) for prompt in prompts] == [41, 7, 1]


def test_a_history_that_the_quota_does_not_cover_is_refused_by_its_size_alone(alice: User, talk: Conversation) -> None:
    Message.objects.filter(conversation=talk).update(content="x" * 500)
    with transaction.atomic():
        allowances.set_limit(alice.pk, "*", {"tokens": 5_000}, "test", "test")
    results, statements = told([start(alice, talk.pk) for _ in range(5)])
    assert codes(results) == ["quota_exceeded"] * 5
    assert texts_read(statements) == 0
    account = QuotaAccount.objects.get(user=alice)
    assert account.in_flight == 0


def test_what_is_older_than_the_window_is_left_out_to_the_message(alice: User, talk: Conversation) -> None:
    # A window of 8,000 tokens, half of it for the answer: 3,998 beside the question, 171 for each message.
    Message.objects.filter(conversation=talk).update(content="x" * 500)
    (result,), _ = told([start(alice, talk.pk)])
    assert isinstance(result, Started)
    kept = (8000 - 4000 - 5) // (167 + 4)
    assert result.context == {"included_messages": kept + 1, "omitted_messages": 40 - kept}
    assert len(result.generations[0].prompt) == kept + 1


def test_two_wishes_for_another_answer_in_one_batch_are_both_answered(alice: User, talk: Conversation) -> None:
    answer = talk.active_message_id
    jobs = [start(alice, talk.pk, kind=Kind.REGENERATE, message_id=answer) for _ in range(2)]
    results, _ = told(jobs)
    assert codes(results) == ["Started", "Started"]
    talk.refresh_from_db()
    assert talk.message_count == 42
    assert isinstance(results[1], Started)
    assert talk.active_message_id == results[1].generations[0].message_id
    assert now() >= talk.last_message_at
