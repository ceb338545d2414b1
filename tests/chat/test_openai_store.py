"""``"store": true`` on /v1 makes a conversation like any other; without it nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chat.client import Chat
from tests.servers.site import Site

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
CALL = {"id": "a", "type": "function", "function": {"name": "get_weather", "arguments": '{"q": "x\\u0000"}'}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]


@pytest.fixture
def chat(live_site: Site) -> Chat:
    return Chat(live_site, live_site.new_user("team"))


def ask(chat: Chat, *messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    body = {"model": "openai/gpt-4o-mini", "messages": messages, "store": True} | fields
    answer = chat.http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()) if not fields.get("stream") else {"text": answer.text}


def conversations(chat: Chat) -> list[dict[str, Any]]:
    return list(chat.http.get("/api/conversations").json()["results"])


def said(chat: Chat, conversation: dict[str, Any]) -> list[dict[str, Any]]:
    return list(chat.http.get(f"/api/conversations/{conversation['id']}/messages?limit=100").json()["results"])


def test_a_stored_request_is_a_conversation_with_its_whole_path(chat: Chat) -> None:
    answer = ask(
        chat,
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is a leap year?"},
        {"role": "assistant", "content": "One with 366 days."},
        {"role": "developer", "content": "Answer in English."},
        {"role": "user", "content": [{"type": "text", "text": "Is 2100\0 one?"}]},
    )
    (conversation,) = conversations(chat)
    assert conversation["title"] == "What is a leap year?"
    assert conversation["system"] == "Be brief.\n\nAnswer in English."
    assert conversation["message_count"] == 4
    messages = said(chat, conversation)
    text = answer["choices"][0]["message"]["content"]
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", "What is a leap year?"),
        ("assistant", "One with 366 days."),
        ("user", "Is 2100\ufffd one?"),
        ("assistant", text),
    ]
    assert [message["parent_message_id"] for message in messages] == [None, *(row["id"] for row in messages[:-1])]
    assert messages[-1]["status"] == "complete"
    assert messages[-1]["usage"]["total_tokens"] == answer["usage"]["total_tokens"] == chat.used
    assert conversation["active_message_id"] == messages[-1]["id"]
    chat.site.command("audit_ledger", chat.user.email)


def test_it_can_be_gone_on_with_in_the_chat(chat: Chat) -> None:
    ask(chat, {"role": "user", "content": "My name is Ann."})
    (conversation,) = conversations(chat)
    turn = chat.send("And now?", "sandbox/echo-request", conversation_id=conversation["id"])
    assert "My name is Ann." in turn.text
    assert len(said(chat, conversation)) == 4


def test_calls_of_tools_are_kept_out_of_sight_and_images_not_at_all(chat: Chat) -> None:
    ask(
        chat,
        {"role": "user", "content": [{"type": "text", "text": "Warm?"}, IMAGE]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "a", "content": "20 degrees\0"},
        tools=TOOLS,
    )
    (conversation,) = conversations(chat)
    messages = said(chat, conversation)
    assert [message["role"] for message in messages] == ["user", "assistant"]
    assert messages[0]["content"] == "Warm?"
    code = f"from chat.models import *; print(Message.objects.get(id='{messages[0]['id']}').metadata)"
    kept = chat.site.manage("shell", "--no-imports", "-c", code)
    assert "get_weather" in kept
    assert "20 degrees" in kept
    assert "image" not in kept


def test_an_answer_that_calls_tools_is_kept_with_its_calls(chat: Chat) -> None:
    ask(chat, {"role": "user", "content": "Weather?"}, model="sandbox/tool-call", tools=TOOLS, stream=True)
    (conversation,) = conversations(chat)
    answer = said(chat, conversation)[-1]
    assert (answer["status"], answer["finish_reason"]) == ("complete", "tool_calls")
    code = f"from chat.models import *; print(Message.objects.get(id='{answer['id']}').metadata)"
    assert "get_weather" in chat.site.manage("shell", "--no-imports", "-c", code)


def test_as_many_messages_as_a_request_may_hold_are_stored(chat: Chat) -> None:
    messages = [{"role": "assistant" if number % 2 else "user", "content": f"m{number}"} for number in range(1999)]
    ask(chat, *messages, model="google/gemini-2.5-flash")
    (conversation,) = conversations(chat)
    assert conversation["message_count"] == 2000


def test_a_retry_under_the_same_key_makes_no_second_conversation(chat: Chat) -> None:
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "store": True}
    first, second = (
        chat.http.post("/v1/chat/completions", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.json() == second.json()
    assert len(conversations(chat)) == 1


@pytest.mark.parametrize("fields", [{"store": False}, {"store": None}, {}])
def test_without_store_no_conversation_is_made(chat: Chat, fields: dict[str, Any]) -> None:
    body = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]} | fields
    assert chat.http.post("/v1/chat/completions", json=body).status_code == 200
    assert conversations(chat) == []


def test_a_key_without_the_scope_of_conversations_may_store(live_site: Site) -> None:
    user = live_site.new_user("pro")
    key = live_site.command("create_api_key", user.email, "--name", "t", "--scopes", "chat").strip().split()[-1]
    narrow = Chat(live_site, type(user)(user.email, user.password, key))
    ask(narrow, {"role": "user", "content": "Hi"})
    assert len(conversations(Chat(live_site, user))) == 1
