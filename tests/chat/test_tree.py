"""Branches over HTTP: another answer, the rest of one, another version of a message, and branches deleted."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.chat.client import Chat, Event, Turn, lines_of, read_events
from tests.servers.site import Site

SLOW = "sandbox/slow"
ECHO = "sandbox/echo-request"
QUICK = "openai/gpt-4o-mini"
UNKNOWN = "0198c0de-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def chat(live_site: Site) -> Chat:
    user = live_site.new_user("pro")
    live_site.command("set_rates", user.email, "--rpm", "unlimited", "--tpm", "unlimited", "--reason", "test")
    return Chat(live_site, user)


def again(chat: Chat, message_id: str, verb: str = "regenerate", **body: Any) -> Turn:
    headers = {"Idempotency-Key": body.pop("key")} if "key" in body else None
    with chat.http.stream("POST", f"/api/messages/{message_id}/{verb}", json=body, headers=headers) as response:
        if response.status_code != 200:
            return Turn(response.status_code, error=json.loads(response.read())["error"])
        return Turn(200, list(read_events(lines_of(response))), headers=dict(response.headers))


def talk_of(chat: Chat, turn: Turn) -> dict[str, Any]:
    return dict(chat.http.get(f"/api/conversations/{turn.started['conversation_id']}").json())


def messages(chat: Chat, turn: Turn, **parameters: Any) -> dict[str, dict[str, Any]]:
    url = f"/api/conversations/{turn.started['conversation_id']}/messages"
    found = chat.http.get(url, params={"limit": 100, **parameters}).json()["results"]
    return {message["id"]: message for message in found}


def stopped(chat: Chat, content: str = "Tell me a very long story.", **fields: Any) -> Turn:
    """A turn that was stopped after some text."""
    seen: list[Event] = []
    with chat.opened(content, SLOW, **fields) as (_, events):
        for event in events:
            seen.append(event)
            if event.name == "message.delta" and event.data["offset"] > 5:
                break
        chat.stop(seen[0].data["turn_id"])
        seen += list(events)
    return Turn(200, seen)


# Regenerate -----------------------------------------------------------------------------------------


def test_another_answer_stands_beside_the_first_and_is_shown(chat: Chat) -> None:
    first = chat.send("The word is marmalade.", ECHO)
    before = chat.used
    second = again(chat, first.message_id)
    assert second.started["user_message_id"] == first.started["user_message_id"]
    assert second.started["conversation_id"] == first.started["conversation_id"]
    assert second.started["messages"][0]["model"] == ECHO
    assert second.started["context"] == {"included_messages": 1, "omitted_messages": 0}
    assert second.text.count("The word is marmalade.") >= 1
    assert second.text.count("marmalade") == first.text.count("marmalade"), "the answer itself was sent along"
    tree = messages(chat, first, tree=1)
    assert len(tree) == 3
    assert tree[second.message_id]["parent_message_id"] == tree[first.message_id]["parent_message_id"]
    assert tree[first.message_id]["content"] == first.text
    talk = talk_of(chat, first)
    assert (talk["active_message_id"], talk["message_count"]) == (second.message_id, 3)
    assert chat.used - before == second.one("message.completed")["usage"]["total_tokens"]


def test_another_model_or_several_and_an_instruction_for_this_answer_only(chat: Chat) -> None:
    first = chat.send("Say a word.", QUICK)
    second = again(chat, first.message_id, model=ECHO, instruction="Say it in capitals.")
    assert "Say a word.\\n\\nSay it in capitals." in second.text
    third = again(chat, second.message_id, models=[ECHO, QUICK])
    assert [row["model"] for row in third.started["messages"]] == [ECHO, QUICK]
    said = "".join(event.data["text"] for event in third.events if event.name == "message.delta")
    assert "capitals" not in said
    stored = messages(chat, first, tree=1)
    assert len(stored) == 5
    assert stored[first.started["user_message_id"]]["content"] == "Say a word."
    assert talk_of(chat, first)["active_message_id"] == third.message_id


def test_a_question_is_answered_where_it_stands(chat: Chat) -> None:
    first = chat.send("One.", ECHO)
    later = chat.send("Two.", ECHO, conversation_id=first.started["conversation_id"])
    other = again(chat, first.started["user_message_id"])
    assert other.started["user_message_id"] == first.started["user_message_id"]
    assert "Two." not in other.text
    assert other.started["messages"][0]["model"] == ECHO  # the conversation's
    assert [message["content"] for message in messages(chat, first).values()] == ["One.", other.text]
    middle = again(chat, later.message_id, model=ECHO)
    assert middle.started["context"]["included_messages"] == 3
    assert "One." in middle.text


def test_the_same_key_attaches_to_the_same_answer(chat: Chat) -> None:
    first = chat.send("Say it.", QUICK)
    key = f"again-{time.monotonic_ns()}"
    one = again(chat, first.message_id, key=key)
    two = again(chat, first.message_id, key=key)
    assert one.started["turn_id"] == two.started["turn_id"]
    assert len(messages(chat, first, tree=1)) == 3
    other = again(chat, first.started["user_message_id"], key=key)
    assert (other.status, other.error["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"wibble": 1}, 400, "unknown_field", "wibble"),
        ({"content": "x"}, 400, "unknown_field", "content"),
        ({"instruction": "x" * 2001}, 400, "invalid_value", "instruction"),
        ({"instruction": 7}, 400, "invalid_value", "instruction"),
        ({"model": "nobody/nothing"}, 404, "model_not_found", "model"),
        ({"model": QUICK, "models": [QUICK, ECHO]}, 400, "invalid_value", "models"),
        ({"models": [QUICK]}, 400, "invalid_value", "models"),
    ],
)
def test_a_bad_wish_for_another_answer_is_refused(
    chat: Chat, body: dict[str, Any], status: int, code: str, param: str, one_turn: Turn
) -> None:
    refused = again(chat, one_turn.message_id, **body)
    assert (refused.status, refused.error["code"], refused.error["param"]) == (status, code, param)
    assert len(messages(chat, one_turn, tree=1)) == 2


@pytest.fixture(scope="module")
def one_turn(chat: Chat) -> Turn:
    return chat.send("Hello.", QUICK)


# Continue -------------------------------------------------------------------------------------------


def test_a_stopped_answer_goes_on_where_it_ended(chat: Chat) -> None:
    cut = stopped(chat)
    old = messages(chat, cut)[cut.message_id]["content"]
    assert old == cut.text != ""
    rest = again(chat, cut.message_id, "continue", model=ECHO)
    assert rest.started["user_message_id"] == cut.started["user_message_id"]
    assert rest.started["context"]["included_messages"] == 2
    assert rest.text.startswith(old)
    assert '"role": "assistant"' in rest.text[len(old) :] or '"role":"assistant"' in rest.text[len(old) :]
    stored = messages(chat, cut, tree=1)
    assert stored[rest.message_id]["content"] == rest.text
    assert stored[cut.message_id]["content"] == old
    assert talk_of(chat, cut)["active_message_id"] == rest.message_id
    late = chat.resume(rest.started["turn_id"])
    assert late.text == rest.text
    usage = rest.one("message.completed")["usage"]
    assert stored[rest.message_id]["tokens_used"] == usage["total_tokens"]


def test_an_answer_cut_by_its_length_goes_on_and_a_whole_one_does_not(chat: Chat) -> None:
    short = chat.send("Tell me a long story.", QUICK, max_tokens=5)
    assert short.one("message.completed")["finish_reason"] == "length"
    rest = again(chat, short.message_id, "continue")
    assert rest.started["messages"][0]["model"] == QUICK
    assert rest.text.startswith(short.text) and len(rest.text) > len(short.text)
    whole = again(chat, rest.message_id, "continue")
    assert (whole.status, whole.error["code"]) == (409, "conflict")
    question = again(chat, short.started["user_message_id"], "continue")
    assert (question.status, question.error["code"]) == (409, "conflict")
    unknown = again(chat, short.message_id, "continue", instruction="x")
    assert (unknown.status, unknown.error["code"]) == (400, "unknown_field")


def test_when_going_on_fails_the_older_text_stays_and_nothing_is_charged(chat: Chat) -> None:
    cut = chat.send("Tell me a long story.", QUICK, max_tokens=5)
    before = chat.used
    failed = again(chat, cut.message_id, "continue", model="sandbox/http-500")
    assert failed.closing.name == "message.failed"
    stored = messages(chat, cut)[failed.message_id]
    assert (stored["content"], stored["status"]) == (cut.text, "interrupted")
    assert (chat.used, chat.held) == (before, 0)
    rest = again(chat, failed.message_id, "continue", model=QUICK)
    assert rest.text.startswith(cut.text) and rest.closing.name == "message.completed"


# Edit -----------------------------------------------------------------------------------------------


def test_an_edited_question_is_a_branch_of_its_own(chat: Chat) -> None:
    first = chat.send("Where is Rome?", ECHO)
    question = first.started["user_message_id"]
    made = chat.http.patch(f"/api/messages/{question}", json={"content": "Where is Oslo?"})
    assert made.status_code == 201
    edited = made.json()
    assert (edited["role"], edited["content"], edited["status"]) == ("user", "Where is Oslo?", "complete")
    assert edited["parent_message_id"] is None and edited["id"] != question
    talk = talk_of(chat, first)
    assert (talk["active_message_id"], talk["message_count"]) == (edited["id"], 3)
    answer = again(chat, edited["id"])
    assert "Where is Oslo?" in answer.text and "Rome" not in answer.text
    assert list(messages(chat, first)) == [edited["id"], answer.message_id]
    tree = messages(chat, first, tree=1)
    assert [tree[question]["content"], tree[first.message_id]["content"]] == ["Where is Rome?", first.text]


def test_an_edited_answer_is_what_the_conversation_goes_on_from(chat: Chat) -> None:
    first = chat.send("Name a colour.", QUICK)
    edited = chat.http.patch(f"/api/messages/{first.message_id}", json={"content": "Ultramarine."}).json()
    assert (edited["role"], edited["status"], edited["finish_reason"]) == ("assistant", "complete", None)
    assert edited["parent_message_id"] == first.started["user_message_id"]
    assert edited["tokens_used"] == 0 and edited["usage"] is None
    then = chat.send("Why?", ECHO, conversation_id=first.started["conversation_id"])
    assert "Ultramarine." in then.text and first.text not in then.text


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "content"),
        ({"content": " \n"}, "invalid_value", "content"),
        ({"content": 5}, "invalid_value", "content"),
        ({"content": "a\0"}, "invalid_value", "content"),
        ({"content": "x" * 100_001}, "message_too_long", "content"),
        ({"content": "x", "role": "user"}, "unknown_field", "role"),
    ],
)
def test_a_bad_edit_is_refused(chat: Chat, one_turn: Turn, body: dict[str, Any], code: str, param: str) -> None:
    answer = chat.http.patch(f"/api/messages/{one_turn.message_id}", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)


def test_a_question_without_an_answer_does_not_block_the_conversation(chat: Chat) -> None:
    first = chat.send("One.", ECHO)
    chat.http.patch(f"/api/messages/{first.started['user_message_id']}", json={"content": "Uno."})
    then = chat.send("Two.", ECHO, conversation_id=first.started["conversation_id"])
    assert "Uno." in then.text and "One." not in then.text


# Show and delete ------------------------------------------------------------------------------------


def test_showing_a_branch_goes_to_its_newest_end_and_keeps_the_first_of_those_side_by_side(chat: Chat) -> None:
    first = chat.send("One.", None, models=[QUICK, ECHO])
    talk = f"/api/conversations/{first.started['conversation_id']}"
    kept, other = (row["message_id"] for row in first.started["messages"])
    assert talk_of(chat, first)["active_message_id"] == kept
    deep = chat.send("Two.", QUICK, conversation_id=first.started["conversation_id"], parent_message_id=other)
    assert talk_of(chat, first)["active_message_id"] == deep.message_id
    shown = chat.http.patch(talk, json={"active_message_id": kept}).json()
    assert shown["active_message_id"] == kept
    shown = chat.http.patch(talk, json={"active_message_id": other}).json()
    assert shown["active_message_id"] == deep.message_id
    fresh = chat.send("Three.", None, models=[QUICK, ECHO], conversation_id=first.started["conversation_id"])
    shown = chat.http.patch(talk, json={"active_message_id": fresh.started["user_message_id"]}).json()
    assert shown["active_message_id"] == fresh.message_id


def test_a_deleted_branch_takes_all_below_it_and_shows_the_one_before(chat: Chat) -> None:
    first = chat.send("One.", QUICK)
    second = again(chat, first.message_id)
    below = chat.send("Two.", QUICK, conversation_id=first.started["conversation_id"])
    used = chat.used
    assert chat.http.delete(f"/api/messages/{second.message_id}").status_code == 204
    talk = talk_of(chat, first)
    assert (talk["active_message_id"], talk["message_count"]) == (first.message_id, 2)
    assert set(messages(chat, first, tree=1)) == {first.started["user_message_id"], first.message_id}
    for gone in (second.message_id, below.started["user_message_id"], below.message_id):
        assert chat.http.delete(f"/api/messages/{gone}").status_code == 404
    assert chat.used == used
    chat.site.command("audit_ledger", chat.user.email)
    assert chat.http.delete(f"/api/messages/{first.message_id}").status_code == 204
    assert talk_of(chat, first)["active_message_id"] == first.started["user_message_id"]
    assert chat.http.delete(f"/api/messages/{first.started['user_message_id']}").status_code == 204
    talk = talk_of(chat, first)
    assert (talk["active_message_id"], talk["message_count"]) == (None, 0)
    assert chat.send("Anew.", QUICK, conversation_id=talk["id"]).status == 200


def test_what_is_being_written_is_neither_deleted_nor_edited_nor_answered_again(chat: Chat) -> None:
    with chat.opened("Tell me a very long story.", SLOW) as (_, events):
        started = next(events).data
        answer, question = started["messages"][0]["message_id"], started["user_message_id"]
        for target in (answer, question):
            refused = chat.http.delete(f"/api/messages/{target}")
            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
        refused = chat.http.patch(f"/api/messages/{answer}", json={"content": "x"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
        assert [again(chat, answer, verb).status for verb in ("regenerate", "continue")] == [409, 409]
        sent = chat.send("And?", QUICK, conversation_id=started["conversation_id"])
        assert (sent.status, sent.error["code"]) == (409, "conflict")
        sent = chat.send("And?", QUICK, conversation_id=started["conversation_id"], parent_message_id=answer)
        assert (sent.status, sent.error["code"]) == (409, "conflict")
        chat.stop(started["turn_id"])
        list(events)
    assert chat.http.delete(f"/api/messages/{question}").status_code == 204


def test_a_foreign_message_is_like_an_unknown_one(chat: Chat, one_turn: Turn, live_site: Site) -> None:
    stranger = Chat(live_site, live_site.new_user("pro"))
    for verb, path, body in (
        ("PATCH", "", {"content": "x"}),
        ("DELETE", "", None),
        ("POST", "/regenerate", {}),
        ("POST", "/continue", {}),
    ):
        answers = []
        for identity in (one_turn.message_id, UNKNOWN, "not-an-id"):
            answer = stranger.http.request(verb, f"/api/messages/{identity}{path}", json=body)
            error = answer.json()["error"]
            error.pop("request_id")
            answers.append((answer.status_code, error))
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0] == 404
    narrow = live_site.command("create_api_key", chat.user.email, "--scopes", "chat").strip()
    headers = {"Authorization": f"Bearer {narrow}"}
    assert chat.http.delete(f"/api/messages/{one_turn.message_id}", headers=headers).status_code == 403
    narrow = live_site.command("create_api_key", chat.user.email, "--scopes", "conversations").strip()
    headers = {"Authorization": f"Bearer {narrow}"}
    for verb in ("regenerate", "continue"):
        refused = chat.http.post(f"/api/messages/{one_turn.message_id}/{verb}", json={}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
    assert chat.http.get(f"/api/messages/{one_turn.message_id}/regenerate").status_code == 405


# Quote ----------------------------------------------------------------------------------------------


def test_a_quote_says_what_the_send_would_be_given_and_leaves_no_trace(live_site: Site) -> None:
    chat = Chat(live_site, live_site.new_user("pro"))
    body = {"content": "Tell me a story.", "model": QUICK, "max_tokens": 100}
    before = chat.quota()
    quoted = chat.http.post("/api/chat/quote", json=body)
    assert quoted.status_code == 200
    assert chat.quota() == before
    assert chat.http.get("/api/conversations").json()["results"] == []
    with chat.opened("Tell me a story.", QUICK, max_tokens=100) as (_, events):
        started = next(events).data
        list(events)
    assert started["quote"] == {name: quoted.json()[name] for name in ("max_tokens", "max_cost_usd")}
    assert quoted.json()["remaining_after"] < before["limits"][0]["remaining"]
    longer = chat.http.post("/api/chat/quote", json={**body, "conversation_id": started["conversation_id"]}).json()
    assert float(longer["max_cost_usd"]) > float(quoted.json()["max_cost_usd"])
    pair = chat.http.post("/api/chat/quote", json={**body, "model": None, "models": [QUICK, ECHO]}).json()
    assert pair["max_tokens"] == 200
    live_site.command("set_quota", chat.user.email, "--model", "*", "--tokens", "10", "--reason", "test")
    refused = chat.http.post("/api/chat/quote", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert chat.http.post("/api/chat/quote", json={**body, "wibble": 1}).status_code == 400
    assert chat.http.post("/api/chat/quote", json={**body, "conversation_id": UNKNOWN}).status_code == 404
