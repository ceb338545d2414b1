"""Imports over the API: our own export comes back the same, ChatGPT's comes in, hostile files do nothing."""

from __future__ import annotations

import io
import stat
import zipfile
from typing import Any

import orjson
import pytest

from accounts.models import User
from chat.importing import chatgpt, files
from chat.importing.records import Said, Talk, Unreadable, clean
from chat.models import Conversation, Folder, Message
from oneai.kit.errors import Refusal
from tests.chat.people import Api, conversation, message
from tests.chat.test_conversations_api import error


def send(api: Api, body: Any, content_type: str = "application/json") -> Any:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return api.client.post("/api/conversations/import", raw, content_type, headers=api.headers)


def node(key: str, parent: str | None, role: str, *parts: Any, **more: Any) -> dict[str, Any]:
    content = {"content_type": "text", "parts": list(parts)}
    written = {"author": {"role": role}, "content": content, "create_time": 1700000000.5, "metadata": {}} | more
    return {"id": key, "parent": parent, "children": [], "message": written if role else None}


def theirs(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "Theirs", "create_time": 1700000000.0, "mapping": {one["id"]: one for one in nodes}} | more


def packed(*entries: tuple[str, bytes], link: bool = False) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, data)
    return body.getvalue()


@pytest.mark.django_db
def test_an_export_of_ours_comes_in_as_it_went_out(as_alice: Api, as_bob: Api, alice: User, bob: User) -> None:
    folder = Folder.objects.create(user=alice, name="Work")
    talk = conversation(
        alice, "Mine", system="s", folder=folder, tags=["a", "b"], pinned=True, metadata={"k": [1, None]}
    )
    question = message(talk, "नमस्ते")
    message(talk, "one", question, role="assistant", model_id="a/b", status="stopped", reasoning="hm")
    message(talk, "two", question, role="assistant", model_id="c/d", finish_reason="stop")
    Conversation.objects.filter(pk=talk.pk).update(active_message_id=Message.objects.get(content="one").pk)
    sent = as_alice.get(f"/api/conversations/{talk.pk}/export", format="json").content
    done = send(as_bob, sent)
    assert done.status_code == 201
    (copy,) = done.json()["ids"]
    back = as_bob.get(f"/api/conversations/{copy}/export", format="json").content

    def told(body: bytes) -> Any:
        """The document with its ids by the order of the messages."""
        value = orjson.loads(body)
        order = {one["id"]: number for number, one in enumerate(value["messages"])}
        for one in value["messages"]:
            one["id"], one["parent_message_id"] = order[one["id"]], order.get(one["parent_message_id"])
        value["conversation"]["active_message_id"] = order[value["conversation"]["active_message_id"]]
        del value["exported_at"], value["conversation"]["id"], value["conversation"]["last_message_at"]
        return value

    assert told(back) == told(sent)
    assert Folder.objects.get(user=bob).name == "Work"
    assert as_bob.get("/api/chat/history", q="नमस्ते").json()["results"]


@pytest.mark.django_db
def test_chatgpt_s_conversations_come_in_with_their_branches(as_alice: Api) -> None:
    talk = theirs(
        node("root", None, ""),
        node("system", "root", "system", "You are helpful"),
        node("q", "system", "user", "Why?", {"content_type": "image_asset_pointer"}),
        node("tool", "q", "tool", "searching"),
        node("a1", "tool", "assistant", "Because.", metadata={"model_slug": "gpt-4o"}),
        node("a2", "q", "assistant", "No reason."),
        node("hidden", "a2", "assistant", "secret", metadata={"is_visually_hidden_from_conversation": True}),
        node("q2", "hidden", "user", "Really?"),
        current_node="a1",
        is_archived=True,
    )
    for body in (
        orjson.dumps([talk]),
        packed(("export/conversations.json", orjson.dumps([talk])), ("chat.html", b"<x>")),
    ):
        done = send(as_alice, body, "application/octet-stream").json()
        assert (done["conversations"], done["messages"], done["skipped"]) == (1, 4, 0)
        made = as_alice.get(f"/api/conversations/{done['ids'][0]}").json()
        assert (made["title"], made["archived"], made["created_at"]) == ("Theirs", True, "2023-11-14T22:13:20Z")
        said = as_alice.get(f"/api/conversations/{made['id']}/messages").json()["results"]
        assert [(one["content"], one["model"]) for one in said] == [("Why?\n[image]", None), ("Because.", "gpt-4o")]
        tree = as_alice.get(f"/api/conversations/{made['id']}/messages", tree=1).json()["results"]
        by_id = {one["id"]: one for one in tree}
        above = {one["content"]: by_id.get(one["parent_message_id"], {}).get("content") for one in tree}
        assert above == {
            "Why?\n[image]": None,
            "Because.": "Why?\n[image]",
            "No reason.": "Why?\n[image]",
            "Really?": "No reason.",
        }


@pytest.mark.django_db
def test_what_can_be_read_comes_in_and_the_rest_is_named(as_alice: Api) -> None:
    good = theirs(node("q", None, "user", "Hello"))
    done = send(as_alice, [{}, good, 5, theirs(), {"format": "oneai.conversation", "version": 99}]).json()
    assert (done["conversations"], done["skipped"]) == (1, 4)
    assert [one["index"] for one in done["reasons"]] == [0, 2, 3, 4]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"[" * 100_000 + b"]" * 100_000, "invalid_json"),
        (b"[]", "invalid_value"),
        (b"5", "invalid_value"),
        (b'{"conversations": "x"}', "invalid_value"),
        (b"PK\x03\x04 not an archive", "invalid_value"),
        (packed(("other.json", b"[]")), "invalid_value"),
        (packed(("../conversations.json", b"[]")), "invalid_value"),
        (packed(("/conversations.json", b"[]")), "invalid_value"),
        (packed(("conversations.json", b"[]"), link=True), "invalid_value"),
        (packed(("conversations.json", b" " * 3_000_000)), "invalid_value"),
        (packed(*((f"{number}.txt", b"") for number in range(1001))), "invalid_value"),
    ],
)
def test_a_file_that_is_none_of_these_is_refused(as_alice: Api, body: bytes, code: str) -> None:
    assert error(send(as_alice, body))[:2] == (400, code)
    assert not Conversation.objects.exists()


@pytest.mark.django_db
def test_wrong_types_anywhere_do_no_harm(as_alice: Api) -> None:
    odd: list[Any] = [None, True, -1, 1e308, "x\x00y", [], {}, [[]], {"a": []}, "9" * 400]
    bodies = []
    for value in odd:
        bodies.append(
            {
                "mapping": {"q": node("q", value, "user", value, "text"), "z": value},
                "title": value,
                "current_node": value,
            }
        )
        bodies.append(
            theirs(node("q", None, "user", "text"), create_time=value, is_archived=value, default_model_slug=value)
        )
        bodies.append(
            theirs({"id": "q", "parent": None, "message": {"author": value, "content": value, "metadata": value}})
        )
        whole = {"format": "oneai.conversation", "version": 1, "conversation": value, "messages": value}
        bodies.append(whole)
        fields = ("title", "model", "system", "folder", "tags", "pinned", "metadata", "active_message_id", "created_at")
        row = {"id": "1", "role": "user", "content": "text"}
        names = ("parent_message_id", "role", "content", "reasoning", "status", "model", "finish_reason", "created_at")
        bodies.append(
            whole
            | {
                "conversation": dict.fromkeys(fields, value),
                "messages": [row, value, row | dict.fromkeys(names, value)],
            }
        )
    done = send(as_alice, bodies)
    assert done.status_code == 201
    assert done.json()["conversations"] + done.json()["skipped"] == len(bodies)
    assert as_alice.get("/api/conversations", limit=100).status_code == 200
    assert all("\x00" not in text for text in Message.objects.values_list("content", flat=True))


@pytest.mark.django_db
def test_a_deep_conversation_comes_in_and_is_deleted_whole(as_alice: Api) -> None:
    chain = [node(str(number), str(number - 1), "user", f"m{number}") for number in range(3000)]
    (made,) = send(as_alice, theirs(*chain)).json()["ids"]
    assert as_alice.get(f"/api/conversations/{made}").json()["message_count"] == 3000
    assert as_alice.get(f"/api/conversations/{made}/messages").json()["results"][0]["content"] == "m0"


def test_circles_of_any_kind_become_a_tree() -> None:
    def of(*links: tuple[str, str | None]) -> list[tuple[str, str | None]]:
        talk = clean(Talk("", [Said(key, parent, "user", "x") for key, parent in links]))
        seen: set[str | None] = {None}
        for said in talk.said:
            assert said.parent in seen
            seen.add(said.key)
        return [(said.key, said.parent) for said in talk.said]

    assert of(("a", "b"), ("b", "a")) == [("a", None), ("b", "a")]
    assert of(("a", "a")) == [("a", None)]
    assert of(("r", None), ("a", "c"), ("b", "a"), ("c", "b"), ("d", "c"), ("a", "r")) == [
        ("r", None), ("a", None), ("b", "a"), ("c", "b"), ("d", "c"),
    ]  # fmt: skip
    assert of(("a", "absent")) == [("a", None)]
    with pytest.raises(Unreadable):
        clean(Talk("", []))


def test_circles_among_what_is_left_out_end() -> None:
    nodes = {
        "t1": node("t1", "t2", "tool", "x"),
        "t2": node("t2", "t1", "tool", "x"),
        "q": node("q", "t1", "user", "hello"),
        "a": node("a", "q", "assistant", "hi"),
    }
    talk = chatgpt.read({"mapping": nodes, "current_node": "t2"})
    assert [(said.key, said.parent) for said in clean(talk).said] == [("q", None), ("a", "q")]


def test_an_archive_s_figures_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_ENTRY", 1000)
    body = bytearray(packed(("conversations.json", b"[" + b" " * 5000 + b"]")))
    at = body.rindex(b"PK\x01\x02") + 24  # the size after unpacking, in the directory
    body[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(Refusal):
        list(files.entries(bytes(body)))


@pytest.mark.django_db
def test_an_import_too_many_waits(as_alice: Api) -> None:
    body = theirs(node("q", None, "user", "Hello"))
    last = [send(as_alice, body) for _ in range(21)][-1]
    assert error(last)[:2] == (429, "too_many_attempts")
