"""Fixtures of the chat tests: two strangers, an upstream's catalogue, and an empty cache of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from accounts.models import User
from chat import catalog
from tests.chat.people import Api, api_of, person
from tests.chat.upstream_catalogue import UpstreamCatalogue


@pytest.fixture
def alice(db: None) -> User:
    return person("alice")


@pytest.fixture
def bob(db: None) -> User:
    return person("bob")


@pytest.fixture
def as_alice(alice: User) -> Api:
    """Alice's API by a key with every scope."""
    return api_of(alice)


@pytest.fixture
def as_bob(bob: User) -> Api:
    return api_of(bob)


@pytest.fixture(autouse=True)
def _no_catalogue_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_snapshot", catalog.Snapshot())


@pytest.fixture
def upstream(settings: Settings) -> Iterator[UpstreamCatalogue]:
    """The only upstream that is configured."""
    server = UpstreamCatalogue()
    settings.OPENROUTER_BASE_URL = server.url
    settings.OPENROUTER_API_KEYS = ["sk-or-v1-test"]
    settings.EXTRA_UPSTREAMS = []
    yield server
    server.close()


@pytest.fixture
def models(db: None, upstream: UpstreamCatalogue) -> UpstreamCatalogue:
    """Two models that may be asked, one dear and one cheap."""
    upstream.offer(
        "dear/large",
        "0.00001",
        "0.00002",
        name="Large",
        context_length=200000,
        supported_parameters=["tools"],
        architecture={"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    )
    upstream.offer("cheap/small", "0.0000001", "0.0000002", name="Small", context_length=8000)
    catalog.sync("openrouter")
    catalog.refresh()
    return upstream
