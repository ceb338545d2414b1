"""Presets over HTTP: whose they are, what may stand in one, and what a message that names one sends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chat.browser import Browser
from tests.chat.client import Chat
from tests.servers.site import Newcomer, Site

PARAMETERS = {"temperature": None, "max_tokens": None, "reasoning_effort": None}


@pytest.fixture(scope="module")
def user(live_site: Site) -> Newcomer:
    return live_site.new_user("pro")


@pytest.fixture(scope="module")
def mine(live_site: Site, user: Newcomer) -> Any:
    return Browser(live_site, user).http


@pytest.fixture(scope="module")
def theirs(live_site: Site) -> Any:
    return Browser(live_site, live_site.new_user()).http


def refused(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]


def test_a_preset_is_made_changed_listed_and_deleted_by_its_owner_alone(mine: Any, theirs: Any) -> None:
    made = mine.post("/api/presets", json={"name": "  Short   answers ", "system": "Be brief."})
    assert made.status_code == 201
    preset = made.json()
    assert (preset["name"], preset["system"], preset["prompt"]) == ("Short answers", "Be brief.", None)
    assert preset["parameters"] == PARAMETERS
    path = f"/api/presets/{preset['id']}"
    changed = mine.patch(path, json={"prompt": "Sum up:", "parameters": {"temperature": 0.2}}).json()
    assert (changed["system"], changed["prompt"]) == ("Be brief.", "Sum up:")
    assert changed["parameters"] == PARAMETERS | {"temperature": 0.2}
    cleared = mine.patch(path, json={"system": "", "parameters": {}}).json()
    assert (cleared["system"], cleared["parameters"]) == (None, PARAMETERS)
    assert preset["id"] in [one["id"] for one in mine.get("/api/presets").json()["results"]]
    assert theirs.get("/api/presets").json()["results"] == []
    for answer in (theirs.get(path), theirs.patch(path, json={"name": "x"}), theirs.delete(path)):
        assert refused(answer) == (404, "not_found", None)
    assert refused(mine.post("/api/presets", json={"name": "SHORT answers"})) == (409, "conflict", "name")
    assert mine.delete(path).status_code == 204
    assert mine.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "name"),
        ({"name": " "}, "invalid_value", "name"),
        ({"name": "x" * 61}, "invalid_value", "name"),
        ({"name": "x", "colour": "red"}, "unknown_field", "colour"),
        ({"name": "x", "model": "no/such"}, "model_not_found", "model"),
        ({"name": "x", "parameters": {"temperature": 3}}, "invalid_value", "parameters.temperature"),
        ({"name": "x", "parameters": {"temperature": "0.5"}}, "invalid_value", "parameters.temperature"),
        ({"name": "x", "parameters": {"top_k": 1}}, "unknown_field", "top_k"),
        ({"name": "x", "parameters": {"reasoning_effort": "some"}}, "invalid_value", "parameters.reasoning_effort"),
        ({"name": "x", "system": "x" * 32_001}, "invalid_value", "system"),
    ],
)
def test_what_can_not_stand_in_a_preset_is_named(mine: Any, body: dict[str, Any], code: str, param: str) -> None:
    answer = mine.post("/api/presets", json=body)
    assert refused(answer)[1:] == (code, param)
    assert answer.status_code in {400, 404}


def test_a_message_sends_what_its_preset_says_and_it_does_not(live_site: Site, mine: Any, user: Newcomer) -> None:
    values = {
        "name": "Poet",
        "system": "Answer in verse.",
        "model": "sandbox/echo-request",
        "parameters": {"temperature": 1.5, "max_tokens": 5000},
    }
    preset = mine.post("/api/presets", json=values).json()["id"]
    chat = Chat(live_site, user)
    turn = chat.send("Of rivers.", None, preset_id=preset)
    assert turn.started["messages"][0]["model"] == "sandbox/echo-request"
    for sent in ("Answer in verse.", '"temperature": 1.5', '"max_completion_tokens": 5000'):
        assert sent in turn.text
    own = chat.send("Of hills.", None, preset_id=preset, system="Answer in prose.", temperature=0.5)
    assert "Answer in prose." in own.text and '"temperature": 0.5' in own.text and "in verse" not in own.text
    quote = mine.post("/api/chat/quote", json={"content": "Of rivers.", "preset_id": preset}).json()
    assert quote["max_tokens"] == 5000


def test_a_preset_of_nobody_or_somebody_else_is_refused(
    live_site: Site, mine: Any, user: Newcomer, theirs: Any
) -> None:
    foreign = theirs.post("/api/presets", json={"name": "Theirs"}).json()["id"]
    chat = Chat(live_site, user)
    for preset in (foreign, "01900000-0000-7000-8000-000000000000"):
        turn = chat.send("Hello.", preset_id=preset)
        assert (turn.status, turn.error["code"], turn.error["param"]) == (404, "not_found", "preset_id")
    assert chat.http.get("/api/presets").status_code == 403, "a key may use presets, and not see to them"
