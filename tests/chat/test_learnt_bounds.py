"""What a model's calls have taught lets a prompt through that its bytes would have refused."""

from __future__ import annotations

import time

from tests.chat.client import Chat
from tests.servers.site import Site

MODEL = "deepseek/deepseek-chat"
PROSE = "Tell me something about the weather in the mountains and what people say of it. " * 12  # some 950 bytes
TAUGHT = (
    f"from quotas.models import LearntBound; LearntBound.objects.create(model_id='{MODEL}', sample=500, most_ppm=1)"
)


def test_a_long_prompt_near_the_limit_is_answered_once_the_model_is_known(live_site: Site) -> None:
    site, user = live_site, live_site.new_user("pro")
    chat = Chat(site, user)
    site.command("set_quota", user.email, "--model", "*", "--tokens", "600", "--reason", "test")

    def quote() -> int:
        return chat.http.post("/api/chat/quote", json=chat.body(PROSE, MODEL)).status_code

    assert quote() == 429
    site.manage("shell", "-c", TAUGHT)
    deadline = time.monotonic() + 30
    while quote() == 429 and time.monotonic() < deadline:  # every process reads the catalogue anew
        time.sleep(0.2)
    turn = chat.send(PROSE, MODEL)
    usage = turn.one("message.completed")["usage"]
    assert usage["prompt_tokens"] > 100
    assert chat.used == usage["total_tokens"] <= 600
    site.command("audit_ledger", user.email)
