"""People, their keys and what they wrote, for the tests of conversations and models."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.test import Client

from accounts import apikeys
from accounts.models import User
from accounts.principal import SCOPES
from chat.models import Conversation, Message
from oneai.kit import clock


class Api:
    """A client that speaks JSON as one principal; ``key`` None is a visitor."""

    def __init__(self, key: str | None = None) -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def send(self, method: str, path: str, body: Any = None, **parameters: Any) -> Any:
        """The response; its body is read by ``.json()``."""
        if method == "GET":
            return self.client.get(path, parameters, headers=self.headers)
        return self.client.generic(
            method, path, b"" if body is None else _json(body), "application/json", headers=self.headers
        )

    def get(self, path: str, **parameters: Any) -> Any:
        return self.send("GET", path, **parameters)

    def post(self, path: str, body: Any = None) -> Any:
        return self.send("POST", path, body)

    def patch(self, path: str, body: Any = None) -> Any:
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path)


def _json(body: Any) -> bytes:
    import orjson

    return body if isinstance(body, bytes) else orjson.dumps(body)


def person(name: str) -> User:
    """A person without a password: hashing one is most of a short test's time."""
    return User.objects.create_user(f"{name}@example.com")


def api_of(user: User, *scopes: str) -> Api:
    """The person's API by a key with ``scopes``, all of them when none are named."""
    return Api(apikeys.mint(user, scopes=scopes or SCOPES)[1])


def conversation(user: User, title: str = "", **columns: Any) -> Conversation:
    """An empty conversation."""
    return Conversation.objects.create(user=user, title=title, **columns)


def message(
    talk: Conversation, content: str, parent: Message | None = None, *, role: str = "user", **columns: Any
) -> Message:
    """One more message of ``talk``, below ``parent``; it becomes the leaf that is shown."""
    made = Message.objects.create(
        conversation=talk, user_id=talk.user_id, role=role, content=content, parent_message=parent, **columns
    )
    talk.message_count += 1
    talk.active_message_id = made.pk
    talk.last_message_at = made.created_at
    talk.save()
    return made


def thread(talk: Conversation, count: int, below: Message | None = None) -> list[Message]:
    """``count`` messages one below the other, written at once; the last is the leaf that is shown."""
    start = clock.now()
    made: list[Message] = []
    parent: UUID | None = below.pk if below else None
    for number in range(count):
        row = Message(
            conversation=talk,
            user_id=talk.user_id,
            role="assistant" if number % 2 else "user",
            content=f"message {number}",
            model_id="test/model" if number % 2 else "",
            parent_message_id=parent,
            created_at=start + timedelta(milliseconds=number),
        )
        made.append(row)
        parent = row.pk
    Message.objects.bulk_create(made)
    talk.message_count += count
    talk.active_message_id = made[-1].pk
    talk.save()
    return made
