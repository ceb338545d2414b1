"""Run inside the product: rows that make its pages large, a session to ask with, and their queries counted.

Prints one JSON object. It is a program of its own because the benchmarks import nothing of the product.
"""

import json
import sys
from typing import Any

MESSAGES = 200
CONVERSATIONS = 1_000
_TEXT = (
    "A paragraph as answers have them, with `code`, *stress* and a list:\n\n- one\n- two\n- three\n\n"
    "```python\nprint('and a block of code')\n```\n\nAnd a closing sentence that says it all once more."
)


def _conversation(user: Any, title: str, messages: int) -> str:
    from chat.models import Conversation, Message

    made = Conversation.objects.create(user=user, title=title, model="bench/c20-d0", message_count=messages)
    chain: list[Message] = []
    for number in range(messages):
        chain.append(
            Message(
                conversation=made,
                user=user,
                role="assistant" if number % 2 else "user",
                content=_TEXT if number % 2 else f"Question number {number}?",
                model_id="bench/c20-d0" if number % 2 else "",
                finish_reason="stop" if number % 2 else "",
                parent_message=chain[-1] if chain else None,
            )
        )
    Message.objects.bulk_create(chain)
    Conversation.objects.filter(pk=made.pk).update(active_message_id=chain[-1].pk)
    return str(made.pk)


def _paths(conversation: str) -> dict[str, str]:
    return {"page": f"/c/{conversation}", "list": "/api/conversations?limit=100"}


def _queries(user: Any, conversation: str) -> dict[str, int]:
    """How many statements each path takes when it is warm."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    counts = {}
    for name, path in _paths(conversation).items():
        client.get(path)
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.content[:300]!r}")
        counts[name] = len(captured)
    return counts


def main() -> None:
    """Seeds, counts, prints."""
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    from chat.models import Conversation

    users: Any = get_user_model().objects
    large, small = (users.get(email=email) for email in sys.argv[1:3])
    shown = _conversation(large, "The long one", MESSAGES)
    Conversation.objects.bulk_create(
        Conversation(user=large, title=f"Conversation {number}", model="bench/c20-d0")
        for number in range(CONVERSATIONS - 1)
    )
    single = _conversation(small, "The short one", 2)
    client = Client()
    client.force_login(large)
    name = settings.SESSION_COOKIE_NAME
    result = {
        "cookie": f"{name}={client.cookies[name].value}",
        "paths": _paths(shown),
        "queries": _queries(large, shown),
        "queries_small": _queries(small, single),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
