"""The documentation on the site: what the repository says, found, read, judged and edited."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from content import loading
from content.models import DocsFeedback, DocsPage, DocsSearch
from content.search import remember, search
from tests.servers.site import Site, some_address

pytestmark = pytest.mark.django_db


def written(root: Path, **files: str) -> Path:
    """A folder of documentation with these pages, in the order given."""
    names = ", ".join(f'"{name}.md"' for name in files)
    (root / "contents.toml").write_text(f'[[section]]\nname = "All"\npages = [{names}]\n', encoding="utf-8")
    for name, text in files.items():
        (root / f"{name}.md").write_text(text, encoding="utf-8")
    return root


def test_every_page_of_the_repository_is_on_the_site() -> None:
    done = loading.load()
    assert done.pages == DocsPage.objects.count() > 10
    assert loading.load() == loading.Loaded()


def test_links_between_files_lead_between_pages_and_others_lose_their_address(tmp_path: Path) -> None:
    text = "# One\n\n[two](two.md#a) [outside](https://example.org/) [record](decisions/0001.md) [back](../README.md)\n"
    loading.load(written(tmp_path, one=text, two="# Two\n\nMore.\n"))
    html = DocsPage.objects.get(slug="one").html
    assert '<a href="/docs/two#a"' in html
    assert '<a href="https://example.org/"' in html
    assert "decisions" not in html
    assert "README" not in html


def test_scripts_in_a_page_are_shown_and_not_run(tmp_path: Path) -> None:
    text = "# One\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) <b onclick=x>b</b>\n"
    loading.load(written(tmp_path, one=text))
    html = DocsPage.objects.get(slug="one").html
    assert "<script" not in html
    assert 'href="javascript' not in html
    assert "<b" not in html.replace("<blockquote", "")


def test_headings_of_the_same_name_have_places_of_their_own(tmp_path: Path) -> None:
    loading.load(written(tmp_path, one="# One\n\n## Same\n\n## Same\n\n### नमस्ते\n"))
    assert [each["id"] for each in DocsPage.objects.get(slug="one").headings] == ["same", "same-2", "part"]


def test_a_page_that_staff_edited_is_not_loaded_over_and_a_file_that_went_takes_its_page(tmp_path: Path) -> None:
    loading.load(written(tmp_path, one="# One\n\nFirst.\n", two="# Two\n\nSecond.\n"))
    page = DocsPage.objects.get(slug="one")
    page.edited_at = page.updated_at
    page.save()
    done = loading.load(written(tmp_path, one="# Another\n\nText.\n"))
    assert (done.pages, done.removed) == (0, 1)
    assert DocsPage.objects.get().title == "One"


@pytest.mark.parametrize("text", ["", "No title.\n", "## Second level\n"])
def test_a_page_without_a_title_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(loading.InvalidContent, match="one"):
        loading.load(written(tmp_path, one=text))
    assert not DocsPage.objects.exists()


def test_search_finds_pages_with_every_word_the_title_first(tmp_path: Path) -> None:
    loading.load(
        written(
            tmp_path,
            one="# Keys\n\nA café for programs.\n",
            two="# Other\n\nkeys keys keys and a Café\n",
            three="# Third\n\nहिन्दी में खोज\n",
        )
    )
    assert [each.slug for each in search("keys")] == ["one", "two"]
    assert [each.slug for each in search("CAFE programs")] == ["one"]
    assert [each.slug for each in search("खोज")] == ["three"]
    assert search("  ") == []
    assert "<mark>café</mark>" in search("cafe")[0].excerpt


def test_what_was_sought_once_goes_before_what_is_sought_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("content.search._KEPT", 20)
    for _ in range(2):
        remember("how to pay", 0)
    for number in range(40):
        remember(f"nonsense {number}", 0)
    assert DocsSearch.objects.count() <= 20
    assert DocsSearch.objects.get(query="how to pay").times == 2
    assert DocsSearch.objects.filter(query="nonsense 39").exists()


def test_what_is_marked_in_an_excerpt_is_escaped(tmp_path: Path) -> None:
    loading.load(written(tmp_path, one="# One\n\n`<img src=x>` stands here\n"))
    (found,) = search("<img")
    assert "<img" not in found.excerpt.replace("<mark>", "")
    assert "&lt;img" in found.excerpt.replace("<mark>", "").replace("</mark>", "")


@pytest.fixture(scope="module")
def documented(live_site: Site) -> Site:
    live_site.command("load_content")
    return live_site


def test_pages_and_their_contents_are_read_over_http(documented: Site) -> None:
    with httpx.Client(base_url=documented.url) as client:
        contents = client.get("/docs")
        assert contents.status_code == 200
        assert "/docs/quota" in contents.text
        page = client.get("/docs/quota")
        assert "How it is counted" in page.text
        assert '<link rel="canonical"' in page.text
        assert client.get("/docs/nothing-of-that-name").status_code == 404
        found = client.get("/docs", params={"q": "grace <b>"})
        assert "<b>" not in found.text
        assert "noindex" in found.text


def test_the_api_searches_and_refuses_what_it_can_not_search(documented: Site) -> None:
    with httpx.Client(base_url=documented.url) as client:
        found = client.get("/api/docs/search", params={"q": "receipt"})
        assert found.status_code == 200
        assert found.json()["results"][0]["slug"] == "receipts"
        assert len(client.get("/api/docs/search", params={"q": "the", "limit": "1"}).json()["results"]) == 1
        assert client.get("/api/docs/search").json()["error"]["code"] == "missing_required_parameter"
        assert client.get("/api/docs/search", params={"q": "x" * 101}).json()["error"]["param"] == "q"


def test_feedback_is_kept_by_form_and_by_api_and_counted_by_address(documented: Site) -> None:
    where = {"X-Forwarded-For": some_address()}
    with httpx.Client(base_url=documented.url, headers=where, follow_redirects=True) as client:
        page = client.get("/docs/quota")
        token = page.text.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        fields = {"csrfmiddlewaretoken": token, "helpful": "no", "comment": "More numbers, please."}
        answer = client.post("/docs/quota/feedback", data=fields, headers={"Referer": f"{documented.url}/docs/quota"})
        assert answer.status_code == 200
        assert "Thank you" in answer.text
        given = {"slug": "quota", "helpful": True}
        path = "/api/docs/feedback"
        with httpx.Client(base_url=documented.url, headers=where) as program:
            statuses = [program.post(path, json=given).status_code for _ in range(20)]
        assert statuses == [204] * 19 + [429]
        wrong = httpx.post(f"{documented.url}/api/docs/feedback", json={"slug": "nothing", "helpful": True})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "not_found")
        long = httpx.post(f"{documented.url}/api/docs/feedback", json=given | {"comment": "x" * 2001})
        assert (long.status_code, long.json()["error"]["param"]) == (400, "comment")
    kept = json.loads(
        documented.manage(
            "shell",
            "-c",
            "from content.models import DocsFeedback as F; import json;"
            "print(json.dumps([F.objects.filter(helpful=False, comment='More numbers, please.').count()]))",
        ).splitlines()[-1]
    )
    assert kept == [1]


def test_what_is_sought_in_vain_is_counted_once_a_word(documented: Site) -> None:
    for _ in range(3):
        httpx.get(f"{documented.url}/docs", params={"q": "Unobtainium  Mines"})
    kept = documented.manage(
        "shell",
        "-c",
        "from content.models import DocsSearch as S;"
        "print(*S.objects.filter(query='unobtainium mines').values_list('times', 'found'))",
    )
    assert kept.splitlines()[-1] == "(3, 0)"
    assert not DocsSearch.objects.exists()  # of this process's own database
    assert not DocsFeedback.objects.exists()
