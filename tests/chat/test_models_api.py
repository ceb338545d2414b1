"""The two lists of models: ours, and OpenAI's shape."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts import apikeys
from accounts.models import User
from chat import catalog
from chat.models import AIModel
from oneai.kit import clock
from quotas.models import Allowance
from tests.chat.people import Api
from tests.chat.upstream_catalogue import UpstreamCatalogue

pytestmark = pytest.mark.django_db


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def allow(user: User, *patterns: str, limits: list[dict[str, Any]] | None = None) -> None:
    """A plan for everybody that includes the models of ``patterns``."""
    Allowance.objects.filter(user=None).delete()
    Allowance.objects.create(
        plan="test",
        limits=limits or [{"scope": "*", "unit": "tokens", "limit": 1000}],
        model_patterns=list(patterns),
        starts_at=clock.now() - timedelta(days=1),
        source="test",
    )


def test_a_model_has_exactly_the_contract_s_shape(as_alice: Api, alice: User, models: UpstreamCatalogue) -> None:
    allow(alice, "*")
    body = as_alice.get("/api/chat/models").json()
    assert (body["next"], body["previous"]) == (None, None)
    assert body["results"][0] == {
        "id": "dear/large",
        "name": "Large",
        "context_length": 200000,
        "max_output": None,
        "input_modalities": ["text", "image"],
        "supports": ["tools"],
        "pricing": {"prompt": "10", "completion": "20"},
        "allowed": True,
        "quota": None,
        "local": False,
    }


def test_models_are_searched_filtered_and_sorted(as_alice: Api, models: UpstreamCatalogue) -> None:
    assert ids(as_alice.get("/api/chat/models")) == ["dear/large", "cheap/small"]
    assert ids(as_alice.get("/api/chat/models", sort="price")) == ["cheap/small", "dear/large"]
    assert ids(as_alice.get("/api/chat/models", sort="-context_length")) == ["dear/large", "cheap/small"]
    assert ids(as_alice.get("/api/chat/models", capability="tools")) == ["dear/large"]
    assert ids(as_alice.get("/api/chat/models", capability="image")) == ["dear/large"]
    assert ids(as_alice.get("/api/chat/models", capability="flight")) == []
    assert ids(as_alice.get("/api/chat/models", q="small CHEAP")) == ["cheap/small"]
    assert ids(as_alice.get("/api/chat/models", q="%")) == []


def test_what_cannot_be_asked_is_not_offered(as_alice: Api, models: UpstreamCatalogue) -> None:
    AIModel.objects.filter(slug="dear/large").update(is_enabled=False)
    catalog.refresh()
    assert ids(as_alice.get("/api/chat/models")) == ["cheap/small"]


def test_the_plan_and_the_key_decide_what_is_allowed(alice: User, models: UpstreamCatalogue) -> None:
    allow(alice, "cheap/*")
    everything = Api(apikeys.mint(alice)[1])
    rows = {row["id"]: row["allowed"] for row in everything.get("/api/chat/models").json()["results"]}
    assert rows == {"cheap/small": True, "dear/large": False}
    assert [row["id"] for row in everything.get("/v1/models").json()["data"]] == ["cheap/small"]
    allow(alice, "*")
    narrow = Api(apikeys.mint(alice, allowed_models=["dear/*"])[1])
    rows = {row["id"]: row["allowed"] for row in narrow.get("/api/chat/models").json()["results"]}
    assert rows == {"cheap/small": False, "dear/large": True}


def test_a_model_s_own_limit_is_shown(as_alice: Api, alice: User, models: UpstreamCatalogue) -> None:
    allow(alice, "*", limits=[{"scope": "dear/large", "unit": "tokens", "limit": 500}])
    rows = {row["id"]: row["quota"] for row in as_alice.get("/api/chat/models").json()["results"]}
    assert rows["cheap/small"] is None
    assert (
        rows["dear/large"] | {"scope": "dear/large", "unit": "tokens", "limit": 500, "remaining": 500}
        == rows["dear/large"]
    )


def test_pages_hold_every_model_once(as_alice: Api, upstream: UpstreamCatalogue) -> None:
    for number in range(12):
        upstream.offer(f"m/{number:02}")
    catalog.sync("openrouter")
    catalog.refresh()
    seen: list[str] = []
    url = "/api/chat/models?limit=5&sort=id&q=m/"
    while url:
        page = as_alice.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == [f"m/{number:02}" for number in range(12)]


def test_a_hundred_models_cost_the_queries_of_one(
    as_alice: Api, upstream: UpstreamCatalogue, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(100):
        upstream.offer(f"m/{number:02}")
    catalog.sync("openrouter")
    catalog.refresh()
    as_alice.get("/api/chat/models")
    with django_assert_max_num_queries(6):
        assert len(ids(as_alice.get("/api/chat/models", limit=100))) == 100


class TestOpenAIShape:
    def test_the_list_is_one_page_of_openai_s_shape(
        self, as_alice: Api, alice: User, models: UpstreamCatalogue
    ) -> None:
        allow(alice, "*")
        body = as_alice.get("/v1/models").json()
        assert body["object"] == "list"
        assert body["data"][0] == {
            "id": "cheap/small", "object": "model", "created": 0, "owned_by": "cheap", "context_length": 8000,
        }  # fmt: skip
        assert len(body["data"]) == 2

    @pytest.mark.parametrize("slug", ["meta-llama/llama-3:free", "local/qwen/tiny"])
    def test_a_model_is_found_by_an_id_with_slashes_and_colons(
        self, as_alice: Api, alice: User, upstream: UpstreamCatalogue, slug: str
    ) -> None:
        allow(alice, "*")
        upstream.offer(slug)
        catalog.sync("openrouter")
        catalog.refresh()
        assert as_alice.get(f"/v1/models/{slug}").json()["id"] == slug

    @pytest.mark.parametrize("slug", ["nobody/nothing", "dear/large", "cheap/small/", "%00"])
    def test_a_model_that_is_not_there_or_not_allowed_is_not_found(
        self, as_alice: Api, alice: User, models: UpstreamCatalogue, slug: str
    ) -> None:
        allow(alice, "cheap/small")
        response = as_alice.get(f"/v1/models/{slug}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"

    def test_a_browser_s_session_is_not_enough(self, alice: User, models: UpstreamCatalogue) -> None:
        browser = Api()
        browser.client.force_login(alice)
        assert browser.get("/api/chat/models").status_code == 200
        response = browser.get("/v1/models")
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
