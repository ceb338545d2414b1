"""`manage.py check_api_keys [FILE …]`: which texts in a file are keys of this site, and ends them on demand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit, leaks
from adminpanel.management import amounts


class Command(BaseCommand):
    help = (
        "Look for API keys in files, or in what comes by stdin: a paste, a repository, a scanner's report. For each "
        "it prints its prefix, what it is and whose; with --revoke the good ones end and their owners are told."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="*", metavar="FILE")
        parser.add_argument("--revoke", action="store_true", help="end those that are good")
        parser.add_argument("--reason", help="where they were found; needed with --revoke, and told to the owner")
        parser.add_argument("--json", action="store_true", help="print a list of objects")

    def handle(self, *args: Any, **options: Any) -> None:
        reason = amounts.reason(options["reason"] or "") if options["revoke"] else ""
        found = list(leaks.findings(_text(options["files"])))
        lines = []
        for finding in found:
            ended = bool(reason and finding.verdict == leaks.GOOD and leaks.end(finding, audit.command_actor(), reason))
            lines.append(
                {
                    "prefix": finding.prefix,
                    "verdict": finding.verdict,
                    "ended": ended,
                    "key_id": finding.key_id or None,
                    "name": finding.name or None,
                    "email": finding.email or None,
                }
            )
        if options["json"]:
            self.stdout.write(json.dumps(lines))
            return
        for line in lines:
            verdict = f"{line['verdict']}, ended now" if line["ended"] else line["verdict"]
            whose = f" {line['email']} {line['name']!r}" if line["email"] else ""
            self.stdout.write(f"{line['prefix']}… {verdict}{whose}")


def _text(files: list[str]) -> str:
    """All of the files, or of stdin. CommandError for one that can't be read."""
    if not files:
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    try:
        return "\n".join(Path(name).read_text(encoding="utf-8", errors="replace") for name in files)
    except OSError as error:
        raise CommandError(f"{error.filename}: {error.strerror}") from error
