"""What the API says of itself: every field of every door is as docs/openapi.json has it."""

from __future__ import annotations

import json
from pathlib import Path

from drf_spectacular.generators import SchemaGenerator

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def test_the_doors_are_as_they_are_described() -> None:
    made = json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    for part in ("paths", "components"):
        differ = [name for name in {*kept[part], *made[part]} if kept[part].get(name) != made[part].get(name)]
        assert not differ, part
