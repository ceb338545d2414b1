"""The blog: what is out is read by everybody, what is not only by staff; feeds and what programs ask for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from django.test import Client

from content import loading, reading
from content.models import Author, Post
from oneai.kit.clock import now
from tests.servers.site import Site

pytestmark = pytest.mark.django_db


def parsed(answer: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(answer)  # noqa: S314 (our own site's)


def test_drafts_and_posts_to_come_are_not_out(tmp_path: Path) -> None:
    author = Author.objects.create(slug="somebody", name="Somebody")
    for slug, at in (("draft", None), ("later", now() + timedelta(hours=1)), ("out", now() - timedelta(hours=1))):
        Post.objects.create(slug=slug, title=slug, body="x", html="x", author=author, tags=["a"], published_at=at)
    assert [post.slug for post in reading.posts()] == ["out"]
    assert [post.slug for post in reading.posts("a")] == ["out"]
    assert not reading.posts("b").exists()


def test_a_file_without_a_date_is_a_draft_and_a_broken_head_is_named(tmp_path: Path) -> None:
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "first.md").write_text('+++\ntags = ["x"]\n+++\n# First\n\nText.\n', encoding="utf-8")
    loading.load(tmp_path)
    post = Post.objects.get()
    assert (post.title, post.tags, post.published_at) == ("First", ["x"], None)
    (tmp_path / "blog" / "second.md").write_text("+++\ntags = \n+++\n# Second\n", encoding="utf-8")
    with pytest.raises(loading.InvalidContent, match=r"second\.md"):
        loading.load(tmp_path)


@pytest.fixture(scope="module")
def documented(live_site: Site) -> Site:
    live_site.command("load_content")
    return live_site


def test_posts_feeds_and_sitemap_say_the_same(documented: Site) -> None:
    with httpx.Client(base_url=documented.url) as client:
        assert "Every token accounted for" in client.get("/blog").text
        assert "Every token accounted for" not in client.get("/blog", params={"tag": "nothing"}).text
        post = client.get("/blog/every-token-accounted-for")
        assert post.status_code == 200
        assert client.get("/blog/no-such-post").status_code == 404
        rss = parsed(client.get("/blog/feed.rss").content)
        assert [each.text for each in rss.iter("title")][1] == "Every token accounted for"
        atom = parsed(client.get("/blog/feed.atom").content)
        assert atom.tag.endswith("feed")
        sitemap = parsed(client.get("/sitemap.xml").content)
        addresses = [each.text or "" for each in sitemap.iter() if each.tag.endswith("loc")]
        assert f"{documented.url}/blog/every-token-accounted-for" in addresses
        for address in addresses:
            assert client.get(address).status_code == 200, address


def test_programs_are_told_what_is_private_and_whom_to_tell(documented: Site) -> None:
    robots = httpx.get(f"{documented.url}/robots.txt").text
    assert "Disallow: /admin/" in robots
    assert f"Sitemap: {documented.url}/sitemap.xml" in robots
    security = httpx.get(f"{documented.url}/.well-known/security.txt")
    assert security.headers["content-type"] == "text/plain; charset=utf-8"
    assert "Contact: mailto:" in security.text
    assert "Expires: " in security.text


def test_the_pages_answer_when_nothing_has_been_loaded(client: Client) -> None:
    for path in ("/docs", "/blog", "/about", "/sitemap.xml", "/blog/feed.rss", "/blog/feed.atom"):
        assert client.get(path).status_code == 200, path
