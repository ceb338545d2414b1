"""Files that nobody needs: not sent, let go, of a deleted account; and how many somebody may have."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.storage import default_storage

from accounts.models import User
from chat import attachment_store, attachments
from chat.models import Attachment, MessageAttachment
from oneai.kit.clock import now
from oneai.kit.errors import Refusal
from tests.chat.people import conversation, message

pytestmark = pytest.mark.django_db


def stored(file: Attachment) -> bool:
    return default_storage.exists(attachment_store._key(file.pk))


def test_what_was_not_sent_goes_after_a_day_and_what_was_stays(alice: User) -> None:
    unsent, fresh, sent = (attachments.receive(alice.pk, f"{name}.txt", b"words") for name in "abc")
    MessageAttachment.objects.create(message=message(conversation(alice), "look"), attachment=sent)
    Attachment.objects.filter(pk=sent.pk).update(keep_until=None)
    Attachment.objects.filter(pk=unsent.pk).update(keep_until=now() - timedelta(seconds=1))
    assert stored(unsent)
    assert attachments.find_abandoned() == 0
    assert attachments.remove_unneeded() == 1
    assert [stored(file) for file in (unsent, fresh, sent)] == [False, True, True]
    assert not Attachment.objects.filter(pk=unsent.pk).exists()


def test_the_files_of_a_conversation_and_of_an_account_go_with_it(alice: User, bob: User) -> None:
    of_talk, of_bob = attachments.receive(alice.pk, "a.txt", b"words"), attachments.receive(bob.pk, "b.txt", b"words")
    talk = conversation(alice)
    MessageAttachment.objects.create(message=message(talk, "look"), attachment=of_talk)
    Attachment.objects.filter(pk=of_talk.pk).update(keep_until=None)
    talk.delete()
    bob.delete()
    assert attachments.find_abandoned() == 1
    assert attachments.remove_unneeded() == 2
    assert not stored(of_talk) and not stored(of_bob) and not Attachment.objects.exists()


def test_nobody_stores_more_than_there_is_room_for(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "MOST_STORED", 10)
    attachments.receive(alice.pk, "a.txt", b"12345678")
    with pytest.raises(Refusal) as refused:
        attachments.receive(alice.pk, "b.txt", b"12345678")
    assert (refused.value.code, refused.value.details) == ("storage_full", {"limit_bytes": 10, "used_bytes": 8})
    assert Attachment.objects.count() == 1
