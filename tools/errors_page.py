"""Writes docs/errors.md from the declared codes: `python tools/errors_page.py [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "errors.md"

HEAD = """# Errors

Every error of `/api` and `/v1` has the same body, whatever raised it:

```json
{"error": {"code": "quota_exceeded", "message": "…", "type": "insufficient_quota", "param": null,
           "request_id": "…", "details": {}}}
```

`code` is for programs and stays; `message` is for people and may change; `param` names the field at fault; `type`
follows OpenAI's names, so that its SDKs raise the right class. `request_id` is also in the header `X-Request-ID`.
401 comes with `WWW-Authenticate`, 429 and some 503 with `Retry-After` in seconds. On `/v1` a used-up quota also says
`x-should-retry: false`. In a stream the same object, without the outer key, is the `error` of `message.failed`.

| status | code | on `/v1` | type | what it says |
|---|---|---|---|---|
"""


def _on_v1(name: str) -> str:
    return f"`{name}`" if name else "the same"


def page() -> str:
    """The page, from ``oneai.kit.errors.CODES``."""
    sys.path.insert(0, str(ROOT))
    from oneai.kit.errors import CODES

    rows = [
        f"| {code.status} | `{name}` | {_on_v1(code.openai)} | `{code.type}` | {code.message} |"
        for name, code in sorted(CODES.items(), key=lambda item: (item[1].status, item[0]))
    ]
    return HEAD + "\n".join(rows) + "\n"


def main() -> int:
    """Write the page; with ``--check`` only say whether it is in step."""
    if "--check" in sys.argv[1:]:
        if PAGE.read_text(encoding="utf-8") != page():
            print("docs/errors.md is not in step with the codes: run tools/errors_page.py", file=sys.stderr)
            return 1
        return 0
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
