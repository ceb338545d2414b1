"""What a model's calls have taught lets prompts through that their bytes would refuse: only where the owner says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chat.client import Chat
from tests.servers.site import Site

TRUSTED = "deepseek/deepseek-chat"
TRUSTED_TOO = "openai/gpt-4o"  # for a test of its own: a process may know the other one still
LEARNT = "openai/gpt-4o-mini"
PROSE = "Tell me something about the weather in the mountains and what people say of it. " * 12  # some 950 bytes
DENSE = "!?;:" * 12_000  # a token for each byte
TAUGHT = """
from quotas.models import LearntBound as L
# Calls of other tests may have taught the site something of them before.
L.objects.update_or_create(model_id='{}', defaults=dict(sample=500, most_ppm=1, is_trusted=False))
L.objects.update_or_create(model_id='{}', defaults=dict(sample=500, most_ppm=1, is_trusted=True))
"""


def quote(chat: Chat, text: str, model: str) -> int:
    return chat.http.post("/api/chat/quote", json=chat.body(text, model)).status_code


@contextmanager
def taught(site: Site, chat: Chat, text: str, trusted: str) -> Iterator[None]:
    """``LEARNT`` and ``trusted`` taught and known to the site; by its bytes ``text`` doesn't fit, else it does."""
    assert quote(chat, text, trusted) == 429
    site.manage("shell", "-c", TAUGHT.format(LEARNT, trusted))
    deadline = time.monotonic() + 30
    while quote(chat, text, trusted) == 429 and time.monotonic() < deadline:  # every process reads the catalogue anew
        time.sleep(0.2)
    yield
    site.manage("shell", "-c", "from quotas.models import LearntBound as L; L.objects.all().delete()")


def test_a_long_prompt_near_the_limit_is_answered_once_the_model_is_trusted(live_site: Site) -> None:
    site, user = live_site, live_site.new_user("pro")
    chat = Chat(site, user)
    site.command("set_quota", user.email, "--model", "*", "--tokens", "600", "--reason", "test")
    with taught(site, chat, PROSE, TRUSTED):
        turn = chat.send(PROSE, TRUSTED)
    usage = turn.one("message.completed")["usage"]
    assert usage["prompt_tokens"] > 100
    assert chat.used == usage["total_tokens"] <= 600
    site.command("audit_ledger", user.email)


def test_nothing_is_overspent_by_what_was_learnt_unless_the_owner_trusts_it(live_site: Site) -> None:
    site, user = live_site, live_site.new_user("team")
    chat = Chat(site, user)
    site.command("set_quota", user.email, "--model", "*", "--tokens", "20000", "--reason", "test")
    with taught(site, chat, DENSE, TRUSTED_TOO):
        for _ in range(3):
            refused = chat.send(DENSE, LEARNT)
            assert (refused.status, refused.error.get("code")) == (429, "quota_exceeded")
        assert chat.used == 0
        turn = chat.send(DENSE, TRUSTED_TOO)  # what the owner has taken on: a call over, recorded as such
    assert chat.used == turn.one("message.completed")["usage"]["total_tokens"] > 48_000
    site.command("audit_ledger", user.email)
