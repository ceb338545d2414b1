"""The catalogue follows its upstreams, and believes nothing that would cost the owner."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from chat import catalog, catalog_sync
from chat.catalog import CatalogueFailed
from chat.models import AIModel, ModelPrice
from chat.pricing import PriceList
from chat.upstreams import upstreams
from oneai.kit import clock
from oneai.kit.errors import Refusal
from tests.chat.upstream_catalogue import UpstreamCatalogue

pytestmark = pytest.mark.django_db


def synced() -> catalog.Counts:
    counts = catalog.sync("openrouter")
    catalog.refresh()
    return counts


def test_what_the_upstream_offers_can_be_asked(upstream: UpstreamCatalogue) -> None:
    upstream.offer(
        "openai/gpt-4o-mini",
        "0.00000015",
        "6e-7",
        name="GPT-4o mini",
        created=1_760_000_000,
        context_length=128000,
        top_provider={"max_completion_tokens": 16384},
        architecture={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        supported_parameters=["tools", "seed"],
    )
    counts = synced()
    assert (counts.seen, counts.added, counts.priced, counts.unusable) == (1, 1, 1, 0)
    model = catalog.usable("openai/gpt-4o-mini")
    assert model.price is not None
    assert (model.price.prompt_pico, model.price.completion_pico) == (150_000, 600_000)
    assert (model.name, model.context_length, model.max_output) == ("GPT-4o mini", 128000, 16384)
    assert (model.input_modalities, model.supports) == (("text", "image"), ("tools", "seed"))
    assert (model.upstream, model.upstream_slug, model.local) == ("openrouter", "openai/gpt-4o-mini", False)
    assert upstream.keys == ["Bearer sk-or-v1-test"]


@pytest.mark.parametrize(
    "pricing", [None, {}, {"prompt": "-1", "completion": "-1"}, {"prompt": "NaN", "completion": 0}]
)
def test_a_model_whose_price_cannot_be_trusted_is_kept_but_never_asked(
    upstream: UpstreamCatalogue, pricing: Any
) -> None:
    upstream.rows.append({"id": "openrouter/auto", "pricing": pricing})
    assert synced().unusable == 1
    assert AIModel.objects.get().is_listed is False
    with pytest.raises(Refusal, match="model_not_usable"):
        catalog.usable("openrouter/auto")


def test_a_model_that_nobody_offers_is_not_found(models: UpstreamCatalogue) -> None:
    with pytest.raises(Refusal, match="model_not_found"):
        catalog.usable("nobody/nothing")


def test_a_model_without_a_context_length_can_be_asked(upstream: UpstreamCatalogue) -> None:
    upstream.offer("a/b", context_length=None)
    synced()
    assert catalog.usable("a/b").context_length is None


def test_a_retired_model_is_unusable_and_a_later_date_takes_effect_by_itself(upstream: UpstreamCatalogue) -> None:
    tomorrow = (clock.now() + timedelta(days=1)).date().isoformat()
    upstream.offer("old/gone", expiration_date="2025-01-31")
    upstream.offer("old/going", expiration_date=tomorrow)
    synced()
    assert not catalog.snapshot().models["old/gone"].usable
    assert catalog.snapshot().models["old/going"].usable
    with clock.travel(timedelta(days=3)):
        assert not catalog.refresh().models["old/going"].usable


def test_a_model_that_draws_instead_of_writing_is_unusable(upstream: UpstreamCatalogue) -> None:
    upstream.offer("art/brush", architecture={"output_modalities": ["image"]})
    assert synced().unusable == 1


def test_a_new_price_is_a_new_version_and_the_old_one_stays(upstream: UpstreamCatalogue) -> None:
    row = upstream.offer("a/b", "0.000001", "0.000002")
    synced()
    before = catalog.usable("a/b").price
    row["pricing"]["completion"] = "0.000003"
    assert synced().priced == 1
    assert synced().priced == 0
    assert before is not None
    assert ModelPrice.objects.get(pk=before.id).completion_pico_usd == 2_000_000
    after = catalog.usable("a/b").price
    assert after is not None and after.completion_pico == 3_000_000
    assert list(ModelPrice.objects.order_by("version").values_list("version", flat=True)) == [1, 2]


def test_a_model_that_vanished_is_unlisted_and_comes_back(upstream: UpstreamCatalogue) -> None:
    upstream.offer("a/b")
    row = upstream.offer("c/d")
    synced()
    upstream.rows.remove(row)
    assert synced().unlisted == 1
    assert not catalog.snapshot().models["c/d"].usable
    assert synced().unlisted == 0
    upstream.rows.append(row)
    synced()
    assert catalog.usable("c/d").slug == "c/d"


@pytest.mark.parametrize(
    ("status", "raw"),
    [
        (500, b"{}"),
        (401, b'{"error": {}}'),
        (302, b""),
        (200, b"<html>maintenance</html>"),
        (200, b"[]"),
        (200, b'{"data": []}'),
        (200, b'{"data": {}}'),
        (200, b'{"data": [1, null, {}, {"id": 5}, {"id": ""}, {"id": "has space"}]}'),
    ],
)
def test_a_catalogue_that_fails_is_empty_or_garbage_changes_nothing(
    models: UpstreamCatalogue, status: int, raw: bytes
) -> None:
    before = list(AIModel.objects.order_by("slug").values())
    models.status, models.raw = status, raw
    with pytest.raises(CatalogueFailed):
        catalog.sync("openrouter")
    assert list(AIModel.objects.order_by("slug").values()) == before


def test_odd_rows_are_skipped_and_odd_values_left_out(upstream: UpstreamCatalogue) -> None:
    upstream.rows += [None, 7, {"id": "x" * 201}, {"name": "no id"}]
    upstream.offer(
        "a/b",
        name=None,
        context_length="many",
        top_provider="none",
        architecture=[],
        supported_parameters="tools",
        expiration_date=5,
        created="long ago",
        description=None,
    )
    upstream.offer("a/b", "9", "9")  # the same name twice: the first one counts
    counts = synced()
    assert (counts.seen, counts.skipped) == (1, 4)
    model = catalog.usable("a/b")
    assert (model.name, model.context_length, model.supports, model.released_at) == ("a/b", None, (), None)


def test_all_pages_are_read(upstream: UpstreamCatalogue) -> None:
    upstream.offer("a/b")
    second = {"data": [{"id": "c/d", "pricing": {"prompt": "0", "completion": "0"}}]}
    upstream.pages = {
        "/models": {"data": upstream.rows, "links": {"next": "/models?offset=1"}},
        "/models?offset=1": second,
    }
    assert synced().seen == 2


def test_a_next_page_on_another_server_is_not_followed(upstream: UpstreamCatalogue) -> None:
    upstream.offer("a/b")
    upstream.pages = {"/models": {"data": upstream.rows, "links": {"next": "http://localhost:9/models"}}}
    with pytest.raises(CatalogueFailed):
        catalog.sync("openrouter")


def test_a_list_without_an_end_is_refused(upstream: UpstreamCatalogue) -> None:
    upstream.pages = {"/models": {"data": [{"id": "a/b"}], "links": {"next": "/models"}}}
    with pytest.raises(CatalogueFailed):
        catalog.sync("openrouter")


class TestExtraUpstreams:
    @pytest.fixture
    def own(self, upstream: UpstreamCatalogue, settings: Settings) -> UpstreamCatalogue:
        settings.OPENROUTER_API_KEYS = []
        settings.EXTRA_UPSTREAMS = [f"local={upstream.url}|none"]
        upstream.rows = [{"id": "tiny", "object": "model", "meta": {"n_ctx_train": 2048}}]
        return upstream

    def test_their_models_carry_their_name_and_are_free(self, own: UpstreamCatalogue) -> None:
        catalog.sync("local")
        catalog.refresh()
        model = catalog.usable("local/tiny")
        assert model.price is not None
        assert (model.price.prompt_pico, model.price.completion_pico, model.context_length) == (0, 0, 2048)
        assert (model.upstream, model.upstream_slug, model.local) == ("local", "tiny", True)
        assert own.keys == [None]

    def test_the_price_that_staff_set_stays(self, own: UpstreamCatalogue) -> None:
        catalog.sync("local")
        catalog_sync.set_staff_price(AIModel.objects.get().pk, PriceList(5, 6))
        assert catalog.sync("local").priced == 0
        price = catalog.refresh().models["local/tiny"].price
        assert price is not None and (price.prompt_pico, price.completion_pico) == (5, 6)

    def test_models_of_an_upstream_that_is_no_longer_set_are_unusable(
        self, own: UpstreamCatalogue, settings: Settings
    ) -> None:
        catalog.sync("local")
        settings.EXTRA_UPSTREAMS = []
        assert not catalog.refresh().models["local/tiny"].usable

    def test_a_name_that_another_upstream_has_already_is_skipped(
        self, own: UpstreamCatalogue, settings: Settings
    ) -> None:
        catalog.sync("local")
        settings.OPENROUTER_API_KEYS = ["sk-or-v1-test"]
        own.rows = []
        own.offer("local/tiny", "0.5", "0.5")
        own.offer("a/b")
        assert catalog.sync("openrouter").skipped == 1
        assert AIModel.objects.get(slug="local/tiny").upstream == "local"

    @pytest.mark.parametrize(
        "entry", ["local", "=http://x", "Local=http://x", "openrouter=http://x", "a=ftp://x", "a=//x", "a b=http://x"]
    )
    def test_an_entry_that_cannot_be_read_names_the_setting(self, settings: Settings, entry: str) -> None:
        settings.EXTRA_UPSTREAMS = [entry]
        with pytest.raises(ImproperlyConfigured, match="EXTRA_UPSTREAMS"):
            upstreams()

    def test_the_key_goes_to_its_own_upstream_alone_and_is_not_printed(self, settings: Settings) -> None:
        settings.EXTRA_UPSTREAMS = ["own=https://own.example/v1/|sk-own"]
        found = upstreams()["own"]
        assert (found.base_url, found.headers()) == ("https://own.example/v1", {"Authorization": "Bearer sk-own"})
        assert "sk-own" not in repr(found)


def test_a_price_of_the_staff_makes_a_model_without_one_usable(upstream: UpstreamCatalogue) -> None:
    upstream.rows.append({"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}})
    synced()
    catalog_sync.set_staff_price(AIModel.objects.get().pk, PriceList(7, 8))
    synced()
    price = catalog.usable("openrouter/auto").price
    assert price is not None and price.completion_pico == 8


def test_a_model_that_staff_switched_off_stays_off(models: UpstreamCatalogue) -> None:
    chosen = AIModel.objects.get(slug="cheap/small")
    assert catalog_sync.switch([chosen.pk], on=False) == ["cheap/small"]
    synced()
    with pytest.raises(Refusal, match="model_not_usable"):
        catalog.usable("cheap/small")


class TestDefaultModel:
    def test_the_cheapest_without_a_better_choice(self, models: UpstreamCatalogue) -> None:
        found = catalog.default_model()
        assert found is not None and found.slug == "cheap/small"

    def test_the_usual_one_before_the_cheapest(self, models: UpstreamCatalogue) -> None:
        models.offer("openai/gpt-4o-mini", "0.001", "0.001")
        synced()
        found = catalog.default_model()
        assert found is not None and found.slug == "openai/gpt-4o-mini"

    def test_the_model_of_this_machine_before_all(self, models: UpstreamCatalogue, settings: Settings) -> None:
        models.offer("openai/gpt-4o-mini")
        settings.EXTRA_UPSTREAMS = [f"local={models.url}"]
        catalog.sync_all()
        found = catalog.refresh().default
        assert found is not None and found.local

    def test_none_when_nothing_can_be_asked(self) -> None:
        assert catalog.refresh().default is None


class TestCache:
    def test_finding_a_model_reads_no_database(
        self, models: UpstreamCatalogue, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(0):
            catalog.usable("cheap/small")
            assert catalog.default_model() is not None
            assert catalog.find("nobody/nothing") is None
            assert len(catalog.snapshot().offered) == 2

    def test_a_reload_is_one_query(
        self, models: UpstreamCatalogue, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(3):
            catalog.refresh()

    def test_synchronous_callers_reload_only_what_is_old(
        self,
        models: UpstreamCatalogue,
        django_assert_num_queries: DjangoAssertNumQueries,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(catalog, "_snapshot", catalog.Snapshot())
        with django_assert_num_queries(3):
            assert len(catalog.current().models) == 2
            assert len(catalog.current().models) == 2


def test_syncing_costs_the_same_queries_whatever_the_size(
    upstream: UpstreamCatalogue, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(400):
        upstream.offer(f"many/model-{number}")
    catalog.sync("openrouter")
    with django_assert_max_num_queries(8):
        catalog.sync("openrouter")


class TestCommand:
    def test_prints_the_counts(self, upstream: UpstreamCatalogue, capsys: pytest.CaptureFixture[str]) -> None:
        upstream.offer("a/b")
        call_command("sync_models", "--json")
        printed = json.loads(capsys.readouterr().out)
        assert printed["failed"] == []
        assert printed["upstreams"][0] | {"added": 1, "seen": 1} == printed["upstreams"][0]

    def test_fails_when_no_upstream_answers(self, upstream: UpstreamCatalogue) -> None:
        upstream.status = 503
        with pytest.raises(CommandError):
            call_command("sync_models")

    def test_one_upstream_that_fails_does_not_stop_the_others(
        self, upstream: UpstreamCatalogue, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        upstream.offer("a/b")
        settings.EXTRA_UPSTREAMS = ["own=http://127.0.0.1:9"]
        call_command("sync_models")
        captured = capsys.readouterr()
        assert "openrouter: 1 models" in captured.out
        assert "own:" in captured.err
