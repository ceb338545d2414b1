"""The paths of the imitated OpenRouter."""

from __future__ import annotations

from aiohttp import web

from . import chat, generation, keys, models

BASE = "/openrouter/api/v1"


def add(app: web.Application) -> None:
    """Adds every path under `BASE`."""
    router = app.router
    router.add_get(f"{BASE}/models", models.list_models)
    router.add_get(f"{BASE}/models/count", models.count_models)
    router.add_get(f"{BASE}/models/user", models.list_models)
    router.add_get(f"{BASE}/models/{{author}}/{{slug}}/endpoints", models.endpoints)
    router.add_get(f"{BASE}/model/{{author}}/{{slug}}", models.one_model)
    router.add_post(f"{BASE}/chat/completions", chat.chat_completions)
    router.add_get(f"{BASE}/generation", generation.generation)
    router.add_get(f"{BASE}/key", keys.key)
    router.add_get(f"{BASE}/auth/key", keys.key)
    router.add_get(f"{BASE}/credits", keys.forbidden)
    router.add_get(f"{BASE}/activity", keys.forbidden)
