"""Files of people over HTTP: sent, given to models, counted, shown with their messages, and gone with them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.chat import files
from tests.chat.browser import Browser
from tests.chat.client import Chat, dispatches, join_deltas, read_events
from tests.chat.test_watching import wait_for
from tests.servers.site import Site

SEES = "openai/gpt-4o-mini"
PER_PICTURE = "qwen/qwen2.5-vl-72b-instruct"  # 0.0003 dollars for each picture
BLIND = "deepseek/deepseek-chat"
TEXT = {"file": ("notes.txt", b"The launch is on Friday.", "text/plain")}


class Person:
    """Somebody with a browser, where files are sent, and a key, with which messages are."""

    def __init__(self, site: Site) -> None:
        user = site.new_user("pro")
        self.chat = Chat(site, user)
        self.http = Browser(site, user).http

    def attach(self, name: str, body: bytes) -> dict[str, Any]:
        answer = self.http.post("/api/attachments", files={"file": (name, body, "application/x-lies")})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/api/conversations/{conversation_id}/messages")
        return list(answer.json()["results"])

    def status_of(self, file: dict[str, Any]) -> int:
        return self.http.get(f"/api/attachments/{file['id']}").status_code


@pytest.fixture(scope="module")
def person(live_site: Site) -> Person:
    return Person(live_site)


@pytest.fixture(scope="module")
def stranger(live_site: Site) -> Person:
    return Person(live_site)


def _code(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def test_a_picture_reaches_the_model_each_time_it_is_asked_and_stands_with_its_message(person: Person) -> None:
    file = person.attach("view.png", files.photo((800, 600)))
    assert (file["name"], file["kind"], file["content_type"]) == ("view.png", "image", "image/jpeg")
    assert (file["width"], file["height"]) == (600, 800)
    turn = person.chat.send("What is this?", SEES, attachments=[file["id"]])
    seen = f"a JPEG picture of 600 by 800 pixels in {file['size']:,} bytes"
    assert seen in turn.text
    conversation = turn.started["conversation_id"]
    question, answer = person.messages(conversation)
    assert [one["id"] for one in question["attachments"]] == [file["id"]] and answer["attachments"] == []
    assert question["attachments"][0]["url"] == file["url"]

    after = person.chat.send("And the colours?", SEES, conversation_id=conversation)
    assert seen in after.text, "the picture is part of the history"
    again = person.http.post(f"/api/messages/{turn.message_id}/regenerate", json={"model": SEES}, timeout=60)
    assert seen in _text(again)
    edited = person.http.patch(f"/api/messages/{question['id']}", json={"content": "What is that?"}).json()
    assert [one["id"] for one in edited["attachments"]] == [file["id"]], "its next version has it too"


def _text(answer: httpx.Response) -> str:
    return join_deltas(list(read_events(iter(answer.text.split("\n")))))


def test_the_text_of_files_is_given_with_their_names(person: Person) -> None:
    report = person.attach("report.pdf", files.pdf("Revenue was 42."))
    notes = person.attach("notes.md", b"# The launch is on Friday.")
    turn = person.chat.send("Sum up.", "sandbox/echo-request", attachments=[report["id"], notes["id"]])
    for words in ("The attached file “report.pdf”.", "Revenue was 42.", "“notes.md”", "The launch is on Friday."):
        assert words in turn.text
    assert report["pages"] == 1 and (report["truncated"], notes["kind"]) == (False, "text")


def test_a_model_that_reads_no_pictures_is_refused_the_new_and_told_of_the_old(person: Person) -> None:
    file = person.attach("a.png", files.picture())
    refused = person.chat.send("What is this?", BLIND, attachments=[file["id"]])
    assert (refused.status, refused.error["code"], refused.error["param"]) == (
        400, "model_reads_no_images", "attachments",
    )  # fmt: skip
    asked = person.http.post("/api/chat/quote", json={"content": "Hm?", "model": BLIND, "attachments": [file["id"]]})
    assert _code(asked) == (400, "model_reads_no_images", "attachments")
    begun = person.chat.send("What is this?", SEES, attachments=[file["id"]])
    went_on = person.chat.send("Thanks.", BLIND, conversation_id=begun.started["conversation_id"])
    assert went_on.closing.name == "message.completed", went_on.closing.data


def test_what_a_picture_may_cost_is_held_and_what_it_costs_is_charged(person: Person, live_site: Site) -> None:
    file = person.attach("a.png", files.picture())

    def quote(**fields: Any) -> dict[str, Any]:
        body = {"content": "What is this?", "model": PER_PICTURE, "max_tokens": 16, **fields}
        return dict(person.http.post("/api/chat/quote", json=body).json())

    without, with_it = quote(), quote(attachments=[file["id"]])
    more = Decimal(with_it["max_cost_usd"]) - Decimal(without["max_cost_usd"])
    assert more >= Decimal("0.0003"), "the price of a picture, and its tokens"
    assert without["remaining_after"] - with_it["remaining_after"] >= 1024
    turn = person.chat.send("What is this?", PER_PICTURE, attachments=[file["id"]])
    cost = Decimal(turn.closing.data["usage"]["cost_usd"])
    assert Decimal("0.0003") < cost <= Decimal(turn.started["quote"]["max_cost_usd"])
    billed = [one for one in dispatches(live_site) if one["model"] == PER_PICTURE]
    assert Decimal(billed[-1]["usage"]["cost"]) == cost


def test_a_model_that_counts_pictures_by_tiles_has_them_counted_so(person: Person) -> None:
    body = {
        "content": "What is this?",
        "max_tokens": 16,
        "attachments": [person.attach("a.png", files.picture())["id"]],
    }
    left = [
        person.http.post("/api/chat/quote", json=body | {"model": model}).json()["remaining_after"]
        for model in ("openai/gpt-4o", SEES)
    ]
    assert left[0] - left[1] == (2833 + 2 * 5667) - 4096


def test_the_bytes_go_to_their_owner_alone_and_do_nothing_in_a_browser(person: Person, stranger: Person) -> None:
    file = person.attach(
        "../../<b>x</b>.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    )
    assert (file["name"], file["kind"]) == ("b>.svg", "text")
    answer = person.http.get(file["url"])
    assert answer.status_code == 200 and answer.content.startswith(b"<svg")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert {"no-store", "private"} <= set(answer.headers["cache-control"].split(", "))
    unknown = "01900000-0000-7000-8000-000000000000"
    for path in ("/api/attachments/{}", "/api/attachments/{}/content"):
        theirs, none = (stranger.http.get(path.format(one)) for one in (file["id"], unknown))
        assert theirs.status_code == none.status_code == 404
    assert stranger.http.delete(f"/api/attachments/{file['id']}").status_code == 404
    turn = stranger.chat.send("Mine?", SEES, attachments=[file["id"]])
    assert (turn.status, turn.error["code"], turn.error["param"]) == (404, "not_found", "attachments")
    assert person.chat.http.get(file["url"]).status_code == 403, "a key may not"
    assert httpx.get(person.chat.site.url + file["url"]).status_code == 401


def test_what_is_wrong_with_a_form_is_said(person: Person) -> None:
    send = person.http.post
    assert _code(send("/api/attachments", files={"file": ("a.zip", b"PK\x03\x04" + bytes(99))})) == (
        415, "unsupported_file", "file",
    )  # fmt: skip
    assert _code(send("/api/attachments", files={"upload": ("a.txt", b"a")})) == (400, "unknown_field", "upload")
    assert _code(send("/api/attachments", files=[("file", ("a", b"a")), ("file", ("b", b"b"))]))[:2] == (
        400, "invalid_value",
    )  # fmt: skip
    assert _code(send("/api/attachments", files=TEXT, data={"name": "x"})) == (400, "unknown_field", "name")
    assert _code(send("/api/attachments", data={"file": "text"}))[0] == 415
    assert _code(send("/api/attachments", json={}))[0] == 415
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert _code(send("/api/attachments", content=b"--x\r\nnothing", headers=broken))[0] == 400
    too_large = send("/api/attachments", files={"file": ("a.txt", b"a" * (20 * 1024 * 1024))})
    assert _code(too_large)[:2] == (413, "payload_too_large")


@pytest.mark.parametrize(
    "given", ["none", ["x"], [1], ["01900000-0000-7000-8000-000000000000"] * 2, [str(n) for n in range(11)]]
)
def test_ids_that_are_none_are_refused(person: Person, given: Any) -> None:
    turn = person.chat.send("Hello.", SEES, attachments=given)
    assert (turn.status, turn.error["code"], turn.error["param"]) == (400, "invalid_value", "attachments")


def test_a_file_goes_with_the_last_message_that_holds_it(person: Person) -> None:
    unsent, sent = person.attach("a.txt", b"unsent"), person.attach("b.txt", b"sent")
    turn = person.chat.send("Read it.", SEES, attachments=[sent["id"]])
    question = turn.started["user_message_id"]
    assert person.http.delete(f"/api/attachments/{unsent['id']}").status_code == 204
    assert _code(person.http.delete(f"/api/attachments/{sent['id']}"))[:2] == (409, "conflict")
    listed = [one["id"] for one in person.http.get("/api/attachments", params={"limit": 100}).json()["results"]]
    assert sent["id"] in listed and unsent["id"] not in listed
    second = person.http.patch(f"/api/messages/{question}", json={"content": "Read it again."}).json()["id"]
    assert person.http.delete(f"/api/messages/{question}").status_code == 204
    assert person.status_of(sent) == 200, "the other version holds it"
    assert person.http.delete(f"/api/messages/{second}").status_code == 204
    wait_for(lambda: person.status_of(sent) == 404, 60)
