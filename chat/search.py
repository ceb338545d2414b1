"""Full-text search in what a person said and was answered: FTS5 on SQLite, a tsvector with GIN on PostgreSQL.

The index is filled beside the turns and not in them: triggers note what it lacks, the worker and whoever
searches bring it up to date. Each entry carries its owner as a word of its own, so that a search reads the lists
of one person's words and not everybody's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from chat.models import Message, SearchEntry
from chat.search_words import Part, excerpt, sought, words
from oneai.kit import rows

BATCH: Final = 25  # messages indexed in one transaction: on SQLite nobody else writes meanwhile
MOST_AT_ONCE: Final = 500
MOST_HITS: Final = 2000  # looked through for the excerpts of one page
SEARCH_MILLISECONDS: Final = 2000


# Filling ---------------------------------------------------------------------------------------------


def index_waiting(user_id: UUID | None = None, most: int = MOST_AT_ONCE) -> int:
    """Put what waits into the index, of one person or of all; returns how many messages were looked at."""
    waiting = SearchEntry.objects.filter(waiting=True)
    if user_id is not None:
        waiting = waiting.filter(user_id=user_id)
    done = 0
    while done < most and waiting.exists():
        with transaction.atomic():
            found = list(waiting.select_for_update(skip_locked=True).order_by("id")[:BATCH])
            _index(found)
        done += len(found)
        if len(found) < BATCH:
            break
    return done


def _index(entries: Sequence[SearchEntry]) -> None:
    found = Message.objects.filter(
        pk__in=[entry.message_id for entry in entries], conversation__deleted_at=None, conversation__temporary=False
    )
    texts = dict(found.values_list("pk", "content"))
    gone = [entry.pk for entry in entries if entry.message_id not in texts]
    SearchEntry.objects.filter(pk__in=gone).delete()
    made = [(entry, words(texts[entry.message_id])) for entry in entries if entry.message_id in texts]
    if not made:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One statement for all: a word has no space (chat.search_words), and arrays of arrays can't be unnested.
            cursor.execute(
                "UPDATE search_entries AS entry"
                " SET words = array_to_tsvector(string_to_array(said.words, ' ')), waiting = false"
                " FROM unnest(%s::bigint[], %s::text[]) AS said (id, words) WHERE entry.id = said.id",
                [
                    [entry.pk for entry, _ in made],
                    [" ".join([_owner(entry.user_id), *some]) for entry, some in made],
                ],
            )
            return
        cursor.executemany("DELETE FROM message_words WHERE rowid = %s", [(entry.pk,) for entry, _ in made])
        cursor.executemany(
            "INSERT INTO message_words (rowid, owner, words) VALUES (%s, %s, %s)",
            [(entry.pk, entry.user_id.hex, " ".join(some)) for entry, some in made],
        )
        SearchEntry.objects.filter(pk__in=[entry.pk for entry, _ in made]).update(waiting=False)


def forget(conversation_ids: Iterable[UUID]) -> None:
    """Take what was said in these conversations out of the index."""
    said = Message.objects.filter(conversation_id__in=list(conversation_ids)).values("pk")
    SearchEntry.objects.filter(message_id__in=said).delete()


def learn_again(conversation_ids: Iterable[UUID]) -> None:
    """Let what was said in these conversations into the index again."""
    said = Message.objects.filter(conversation_id__in=list(conversation_ids)).exclude(content="")
    said = said.exclude(status=Message.Status.STREAMING)
    entries = [
        SearchEntry(message_id=pk, conversation_id=conversation_id, user_id=user_id)
        for pk, conversation_id, user_id in said.values_list("pk", "conversation_id", "user_id")
    ]
    SearchEntry.objects.bulk_create(entries, batch_size=500, ignore_conflicts=True)


# Finding ---------------------------------------------------------------------------------------------


def _owner(user_id: UUID) -> str:
    return f"o:{user_id.hex}"  # no word has a colon


def _sql(column: str) -> str:
    if connection.vendor == "postgresql":
        return f"SELECT {column} FROM search_entries WHERE words @@ %s::tsquery"  # noqa: S608 (a column of ours)
    return (
        f"SELECT {column} FROM search_entries WHERE id IN "  # noqa: S608
        "(SELECT rowid FROM message_words WHERE message_words MATCH %s)"
    )


def _match(user_id: UUID, beginnings: Sequence[str]) -> str:
    """The databases' own query. A word has letters, digits and marks alone: nothing in it is syntax."""
    if connection.vendor == "postgresql":
        return " & ".join([f"'{_owner(user_id)}'", *(f"'{one}':*" for one in beginnings)])
    together = " AND ".join(f'"{one}" *' for one in beginnings)
    return f'owner : "{user_id.hex}" AND words : ({together})'


@dataclass(frozen=True, slots=True)
class Search:
    """What one person looks for. ``beginnings`` of words; none when the text has no word in it."""

    user_id: UUID
    text: str
    beginnings: tuple[str, ...]

    @classmethod
    def of(cls, user_id: UUID, text: str) -> Search:
        """A search for ``text``, with all that the person has said until now in the index."""
        index_waiting(user_id)
        return cls(user_id, text, tuple(sought(text)))

    def _ids(self, column: str) -> RawSQL:
        return RawSQL(_sql(column), [_match(self.user_id, self.beginnings)])  # noqa: S611 (no value is in it)

    def messages(self, found: QuerySet[Message]) -> QuerySet[Message]:
        """Those of ``found`` that have all the words; of a text of signs alone, those with just that in them."""
        if not self.beginnings:
            return found.filter(content__icontains=self.text)
        return found.filter(pk__in=self._ids("message_id"))

    def conversations(self) -> RawSQL | QuerySet[Any]:
        """Ids of the conversations with such a message."""
        if not self.beginnings:
            said = Message.objects.filter(user_id=self.user_id, content__icontains=self.text)
            return said.values("conversation_id")
        return self._ids("conversation_id")

    def excerpt(self, text: str) -> list[Part]:
        """The piece of ``text`` in which the words are."""
        return excerpt(text, list(self.beginnings))

    def newest_in(self, conversation_ids: Sequence[UUID]) -> dict[UUID, Message]:
        """Of each conversation the message that has the words and was said last, with its text alone."""
        if not self.beginnings or not conversation_ids:
            return {}
        this = rows.table(SearchEntry)
        ids = [this.to_db("conversation_id", one) for one in conversation_ids]
        sql = f"{_sql('message_id')} AND conversation_id IN ({rows.marks(len(ids))}) ORDER BY id DESC LIMIT {MOST_HITS}"
        with connection.cursor() as cursor:
            cursor.execute(sql, [_match(self.user_id, self.beginnings), *ids])
            hits = [this.from_db("message_id", record[0]) for record in cursor.fetchall()]
        owned = Message.objects.filter(pk__in=hits, user_id=self.user_id)
        places = dict(owned.values_list("pk", "conversation_id"))
        newest = {places[pk]: pk for pk in reversed(hits) if pk in places}
        found = Message.objects.only("id", "conversation_id", "content").in_bulk(list(newest.values()))
        return {place: found[pk] for place, pk in newest.items() if pk in found}


@contextmanager
def in_time() -> Iterator[None]:
    """Inside, no statement takes longer than two seconds on PostgreSQL; the search is refused then."""
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {SEARCH_MILLISECONDS}")
        yield
