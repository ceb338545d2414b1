"""An export as Markdown, plain text or one HTML file that needs nothing else. Nothing is fetched to read it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe

from chat import markdown
from chat.exporting.record import Record

_SYNTAX: Final = re.compile(r"([\\`*_{}\[\]<>#|~!&$])")


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _plain(line: str) -> str:
    """A line of ours in Markdown: what would be syntax in it is text."""
    return _SYNTAX.sub(r"\\\1", line)


def as_markdown(record: Record) -> str:
    """Answers as the models wrote them, which is Markdown already; titles and names as text."""
    parts = [f"# {_plain(record.title)}", f"_{_day(record.created_at)}_"]
    if record.system:
        quoted = "\n".join(f"> {line}".rstrip() for line in record.system.splitlines())
        parts += ["## System prompt", quoted]
    for said in record.messages:
        parts += [f"## {_plain(said.speaker)}", said.content.strip("\n")]
    return "\n\n".join(parts) + "\n"


def as_text(record: Record) -> str:
    """Everything as it was written, a line of signs between messages."""
    parts = [record.title, _day(record.created_at)]
    if record.system:
        parts += ["", "--- System prompt ---", "", record.system.strip("\n")]
    for said in record.messages:
        parts += ["", f"--- {said.speaker} ---", "", said.content.strip("\n")]
    return "\n".join(parts) + "\n"


def as_html(record: Record) -> str:
    """One page with its style in it, in light and dark, and no script; the sanitiser makes its answers."""
    messages = [
        {
            "speaker": said.speaker,
            "role": said.role,
            "text": said.content if said.role == "user" else "",
            "html": mark_safe(markdown.render(said.content)) if said.role != "user" else "",  # noqa: S308
        }
        for said in record.messages
    ]
    return render_to_string("chat/exported.html", {"record": record, "messages": messages})
