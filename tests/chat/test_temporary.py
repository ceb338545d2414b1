"""Temporary conversations: there while they are in use, gone once they were left, and counted all the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.models import User
from chat import temporary
from chat.models import Conversation, Message, Turn
from oneai.kit.clock import now
from tests.chat import files
from tests.chat.browser import Browser
from tests.chat.client import Chat
from tests.chat.people import conversation, message
from tests.chat.test_watching import wait_for
from tests.servers.site import Site


def test_it_goes_on_while_it_is_used_and_leaves_nothing_but_the_count(live_site: Site) -> None:
    user = live_site.new_user("pro")
    chat, http = Chat(live_site, user), Browser(live_site, user).http
    file = http.post("/api/attachments", files={"file": ("a.png", files.picture())}).json()
    turn = chat.send("Remember the word plum.", temporary=True, attachments=[file["id"]])
    talk = turn.started["conversation_id"]
    resumed = chat.resume(turn.started["turn_id"])
    assert resumed.text == turn.text, "an answer can be read again"
    again = chat.send("Which word?", conversation_id=talk, temporary=True)
    assert again.started["context"]["included_messages"] == 3, "it knows what was said"
    assert chat.http.get("/api/conversations").json()["results"] == []
    assert chat.http.get("/api/chat/history").json()["results"] == []
    used = chat.used
    assert used > 0
    assert http.delete(f"/api/conversations/{talk}").status_code == 204
    count = f"from chat.models import Message; print(Message.objects.filter(conversation_id='{talk}').count())"
    wait_for(lambda: live_site.command("shell", "-v", "0", "-c", count).strip() == "0")
    wait_for(lambda: http.get(file["url"]).status_code == 404)
    assert chat.used == used, "the count stays"


def test_a_conversation_that_is_kept_does_not_become_temporary(live_site: Site) -> None:
    chat = Chat(live_site, live_site.new_user())
    talk = chat.send("Hello.").started["conversation_id"]
    turn = chat.send("And now?", conversation_id=talk, temporary=True)
    assert (turn.status, turn.error["code"], turn.error["param"]) == (400, "invalid_value", "temporary")


@pytest.mark.django_db
def test_only_what_was_left_is_erased_and_nothing_that_is_being_written() -> None:
    user = User.objects.create_user("eve@example.com")
    old = now() - timedelta(hours=2)
    idle, fresh = conversation(user, temporary=True), conversation(user, temporary=True)
    kept, writing = conversation(user), conversation(user, temporary=True)
    for talk in (idle, fresh, kept, writing):
        message(talk, "words")
    message(writing, "", role="assistant", status=Message.Status.STREAMING)
    turn = Turn.objects.create(user=user, conversation=idle, door="api")
    Conversation.objects.exclude(pk=fresh.pk).update(last_message_at=old)
    assert temporary.erase_left() == 1
    assert set(Conversation.objects.values_list("pk", flat=True)) == {fresh.pk, kept.pk, writing.pk}
    assert not Message.objects.filter(conversation_id=idle.pk).exists()
    turn.refresh_from_db()
    assert turn.conversation_id is None, "the turn is part of the count"
