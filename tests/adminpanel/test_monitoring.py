"""/metrics over several processes, and what Sentry and OpenTelemetry are told, on a real site."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.adminpanel.collector import Collector
from tests.chat.client import Chat
from tests.servers.process import ROOT
from tests.servers.site import Site

TOKEN = "a-token-for-the-figures"
SECRET = "a-prompt-that-is-nobodys-business"
BROKEN = f"""
from content.models import DocsPage
page = dict(slug="broken", title="Broken", section="s", body="", html="", text="{SECRET}", headings=["{SECRET}"])
DocsPage.objects.create(**page)
"""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def watched(own_site: Callable[..., Site], collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site of two processes and a worker, with everything that watches it."""
    return own_site(
        processes=2,
        settings={
            "METRICS_TOKEN": TOKEN,
            "METRICS_FOLDER": str(tmp_path_factory.mktemp("metrics")),
            "SENTRY_DSN": f"http://public@127.0.0.1:{collector.port}/1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        },
    )


def scrape(site: Site) -> str:
    answer = httpx.get(f"{site.url}/metrics", headers={"authorization": f"Bearer {TOKEN}"}, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    return answer.text


def value(text: str, name: str, **labels: str) -> float:
    """What all samples of ``name`` with these labels come to."""
    found = 0.0
    for line in text.splitlines():
        head, _, number = line.rpartition(" ")
        if head.partition("{")[0] == name and all(f'{key}="{each}"' in head for key, each in labels.items()):
            found += float(number)
    return found


def test_figures_are_for_whoever_has_the_token(watched: Site) -> None:
    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": TOKEN}):
        answer = httpx.get(f"{watched.url}/metrics", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_token")
    assert "oneai_site_up 1.0" in scrape(watched)


def test_without_a_token_there_are_none(live_site: Site) -> None:
    assert httpx.get(f"{live_site.url}/metrics", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 404


def test_answers_of_all_processes_are_counted_once(watched: Site) -> None:
    def answers() -> float:
        return value(scrape(watched), "oneai_response_seconds_count", door="page")

    before = answers()
    for _ in range(30):  # each on a connection of its own, so that both processes answer
        assert httpx.get(f"{watched.url}/about").status_code == 200
    assert {answers() for _ in range(6)} == {before + 30}


def test_tokens_cost_refusals_webhooks_and_duties_are_counted(watched: Site) -> None:
    before = scrape(watched)
    person = watched.new_user()
    chat = Chat(watched, person)
    assert chat.send(SECRET, "openai/gpt-4o-mini", max_tokens=60).status == 200
    watched.command("set_rates", person.email, "--rpm", "0", "--reason", "test")
    assert chat.send(SECRET, "openai/gpt-4o-mini").status == 429
    assert httpx.post(f"{watched.url}/api/webhooks/razorpay", json={}).status_code == 400
    after = scrape(watched)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("oneai_tokens_total", kind="prompt") > 0
    assert grown("oneai_tokens_total", kind="completion") > 0
    assert grown("oneai_upstream_nano_usd_total") > 0
    assert grown("oneai_calls_total", source="upstream_final") == 1
    assert grown("oneai_refusals_total", code="rate_limited") == 1
    assert grown("oneai_webhooks_received_total", outcome="refused") == 1
    assert grown("oneai_response_seconds_count", door="chat", status="4xx") == 1
    assert value(after, "oneai_duties_total", outcome="done") > 0, "the worker counts beside them"
    assert SECRET not in after and person.email not in after


def test_an_unexpected_exception_is_told_without_a_word_of_what_was_asked(watched: Site, collector: Collector) -> None:
    watched.command("shell", "-c", BROKEN)
    before = value(scrape(watched), "oneai_errors_total", where="view")
    headers = {"cookie": f"session={SECRET}", "authorization": ""}
    answer = httpx.get(f"{watched.url}/api/docs/search", params={"q": SECRET}, headers={"cookie": headers["cookie"]})
    assert answer.status_code == 500
    request_id = answer.headers["x-request-id"]
    told = collector.wait_for(lambda path, body: "/envelope/" in path and request_id.encode() in body)
    assert b"TypeError" in told and b"content/search.py" in told
    assert SECRET.encode() not in told
    assert value(scrape(watched), "oneai_errors_total", where="view") == before + 1


def test_requests_and_their_calls_upstream_are_spans_without_words(watched: Site, collector: Collector) -> None:
    person = watched.new_user()
    assert Chat(watched, person).send(SECRET, "openai/gpt-4o-mini", max_tokens=60).status == 200
    httpx.get(f"{watched.url}/docs", params={"q": SECRET})
    for name in (b"POST chat", b"GET page", b"upstream"):
        collector.wait_for(lambda path, body, name=name: path == "/v1/traces" and name in body)  # type: ignore[misc]
    spans = b"".join(body for path, body in collector.bodies if path == "/v1/traces")
    assert SECRET.encode() not in spans and person.api_key.encode() not in spans and b"/docs" not in spans


def test_every_metric_of_the_rules_and_the_dashboard_is_one_that_is_there(watched: Site) -> None:
    there = set(re.findall(r"^# TYPE (\w+)", scrape(watched), re.MULTILINE))
    folder = ROOT / "docs" / "operations"
    for path in (folder / "prometheus" / "alerts.yml", folder / "grafana" / "oneai.json", folder / "monitoring.md"):
        for name in re.findall(r"\boneai_[a-z_]+[a-z]\b", Path(path).read_text(encoding="utf-8")):
            plain = re.sub(r"_(bucket|count|sum)$", "", name)
            assert {plain, plain.removesuffix("_total")} & there, (path.name, name)
