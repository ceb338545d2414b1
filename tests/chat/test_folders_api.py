"""Folders, and deeds on many conversations, over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from accounts.models import User
from chat import conversations, own_belongings
from chat.models import Conversation, Folder, Message, SearchEntry, SharedSnapshot
from oneai.kit import clock
from tests.chat.people import Api, conversation, message, thread
from tests.chat.test_conversations_api import error

pytestmark = pytest.mark.django_db


def bulk(api: Api, action: str, *talks: Conversation, **more: Any) -> Any:
    return api.post("/api/conversations/bulk", {"ids": [str(talk.pk) for talk in talks], "action": action, **more})


def test_a_folder_holds_conversations_and_lets_them_go(as_alice: Api, alice: User) -> None:
    made = as_alice.post("/api/folders", {"name": " Work "})
    assert made.status_code == 201
    folder = made.json()
    assert (folder["name"], folder["conversation_count"]) == ("Work", 0)
    inside, outside = conversation(alice, "in"), conversation(alice, "out")
    path = f"/api/conversations/{inside.pk}"
    assert as_alice.patch(path, {"folder": folder["id"]}).json()["folder"] == folder["id"]
    titles = lambda which: [row["title"] for row in as_alice.get("/api/conversations", folder=which).json()["results"]]  # noqa: E731
    assert titles(folder["id"]) == ["in"]
    assert titles("none") == [outside.title]
    assert [row["conversation_count"] for row in as_alice.get("/api/folders").json()["results"]] == [1]
    assert as_alice.patch(f"/api/folders/{folder['id']}", {"name": "Play"}).json()["name"] == "Play"
    assert as_alice.delete(f"/api/folders/{folder['id']}").status_code == 204
    assert as_alice.get(path).json()["folder"] is None
    assert as_alice.patch(path, {"folder": ""}).json()["folder"] is None


def test_a_folder_s_faults_are_named(as_alice: Api, as_bob: Api, alice: User) -> None:
    mine = as_alice.post("/api/folders", {"name": "Work"}).json()["id"]
    assert error(as_alice.post("/api/folders", {"name": "wORK"})) == (409, "conflict", "name")
    assert error(as_alice.post("/api/folders", {})) == (400, "missing_required_parameter", "name")
    assert error(as_alice.post("/api/folders", {"name": "x" * 61})) == (400, "invalid_value", "name")
    assert error(as_alice.post("/api/folders", {"name": "x", "color": "red"})) == (400, "unknown_field", "color")
    other = as_alice.post("/api/folders", {"name": "Play"}).json()["id"]
    assert error(as_alice.patch(f"/api/folders/{other}", {"name": "WORK"})) == (409, "conflict", "name")
    assert as_bob.post("/api/folders", {"name": "Work"}).status_code == 201
    talk = conversation(alice)
    path = f"/api/conversations/{talk.pk}"
    bobs = str(Folder.objects.get(user__email="bob@example.com").pk)
    for wrong in (bobs, "nonsense", str(talk.pk)):
        assert error(as_alice.patch(path, {"folder": wrong})) == (404, "not_found", "folder")
        assert error(as_alice.get("/api/conversations", folder=wrong)) == (404, "not_found", "folder")
        assert error(bulk(as_alice, "move", talk, folder=wrong)) == (404, "not_found", "folder")
    assert as_alice.patch(path, {"folder": mine}).status_code == 200


def test_deeds_on_many_are_done_to_one_s_own_alone(as_alice: Api, alice: User, bob: User) -> None:
    one, two, foreign = conversation(alice, "1"), conversation(alice, "2", tags=["t"]), conversation(bob)
    folder = as_alice.post("/api/folders", {"name": "Work"}).json()["id"]
    seen = lambda: {row["title"]: row for row in as_alice.get("/api/conversations").json()["results"]}  # noqa: E731
    answer = bulk(as_alice, "archive", one, foreign, two).json()
    assert answer == {"changed": [str(one.pk), str(two.pk)], "not_found": [str(foreign.pk)]}
    assert all(row["archived"] for row in seen().values())
    assert not Conversation.objects.get(pk=foreign.pk).archived
    bulk(as_alice, "unarchive", one, two)
    bulk(as_alice, "pin", one)
    bulk(as_alice, "move", one, folder=folder)
    bulk(as_alice, "tag", one, two, tag="t")
    assert [(row["pinned"], row["archived"], row["folder"], row["tags"]) for row in (seen()["1"], seen()["2"])] == [
        (True, False, folder, ["t"]),
        (False, False, None, ["t"]),
    ]
    bulk(as_alice, "untag", one, two, tag="t")
    bulk(as_alice, "move", one, folder="")
    assert [(row["folder"], row["tags"]) for row in seen().values()] == [(None, [])] * 2
    bulk(as_alice, "delete", one, two)
    assert seen() == {}
    assert bulk(as_alice, "archive", one).json()["not_found"] == [str(one.pk)]
    assert len(bulk(as_alice, "restore", one, two).json()["changed"]) == 2
    assert len(seen()) == 2


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "missing_required_parameter", "ids")),
        ({"ids": ["x"]}, (400, "missing_required_parameter", "action")),
        ({"ids": [], "action": "pin"}, (400, "invalid_value", "ids")),
        ({"ids": [str(n) for n in range(101)], "action": "pin"}, (400, "invalid_value", "ids")),
        ({"ids": "x", "action": "pin"}, (400, "invalid_value", "ids")),
        ({"ids": [1], "action": "pin"}, (400, "invalid_value", "ids.0")),
        ({"ids": ["x"], "action": "burn"}, (400, "invalid_value", "action")),
        ({"ids": ["x"], "action": ["pin"]}, (400, "invalid_value", "action")),
        ({"ids": ["x"], "action": "tag"}, (400, "missing_required_parameter", "tag")),
        ({"ids": ["x"], "action": "move"}, (400, "missing_required_parameter", "folder")),
        ({"ids": ["x"], "action": "pin", "all": True}, (400, "unknown_field", "all")),
    ],
)
def test_a_deed_that_is_wrong_is_refused(as_alice: Api, body: Any, expected: Any) -> None:
    assert error(as_alice.post("/api/conversations/bulk", body)) == expected


def test_the_bin_is_emptied_after_thirty_days_and_not_before(as_alice: Api, alice: User) -> None:
    old, young, kept = conversation(alice), conversation(alice), conversation(alice, "kept")
    thread(old, 40)
    message(young, "x")
    message(kept, "y")
    as_alice.post(f"/api/conversations/{kept.pk}/share", {})
    with clock.travel(-timedelta(days=31)):
        as_alice.delete(f"/api/conversations/{old.pk}")
    as_alice.delete(f"/api/conversations/{young.pk}")
    assert conversations.empty_bin() == 1
    assert set(Conversation.objects.values_list("pk", flat=True)) == {young.pk, kept.pk}
    assert not Message.objects.filter(conversation=old.pk).exists()
    assert SharedSnapshot.objects.count() == 1
    assert conversations.empty_bin() == 0


def test_folders_links_and_words_leave_with_their_owner(as_alice: Api, alice: User, bob: User) -> None:
    folder = Folder.objects.create(user=alice, name="Work")
    Folder.objects.create(user=bob, name="Work")
    talk = conversation(alice, folder=folder)
    message(talk, "x")
    as_alice.post(f"/api/conversations/{talk.pk}/share", {})
    (written,) = [value for path, value in own_belongings.export(alice) if path.startswith("conversations/")]
    assert written["folder__name"] == "Work"
    own_belongings.erase(alice)
    assert [one.user_id for one in Folder.objects.all()] == [bob.pk]
    assert not SharedSnapshot.objects.exists() and not SearchEntry.objects.exists()
