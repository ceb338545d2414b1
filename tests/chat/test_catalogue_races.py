"""Several processes sync at their start; one catalogue comes of it."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from chat import catalog
from chat.models import AIModel, ModelPrice
from tests.chat.upstream_catalogue import UpstreamCatalogue


@pytest.mark.django_db(transaction=True)
def test_syncs_at_the_same_time_make_each_model_and_price_once(upstream: UpstreamCatalogue) -> None:
    for number in range(50):
        upstream.offer(f"m/{number}")
    failures: list[BaseException] = []
    together = threading.Barrier(4)

    def run() -> None:
        try:
            together.wait(10)
            catalog.sync("openrouter")
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert AIModel.objects.filter(is_listed=True, price__version=1).count() == 50
    assert ModelPrice.objects.count() == 50
