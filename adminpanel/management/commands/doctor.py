"""Say in plain words what is configured, imitated, missing and unsafe."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from adminpanel.doctor import judge
from adminpanel.doctor_probes import examine


class Command(BaseCommand):
    """Exit status 1 when something is missing or unsafe. Changes nothing, so it may run at any time."""

    help = "Say what is configured, imitated, missing and unsafe; exit status 1 when something needs doing."
    requires_system_checks: list[str] = []  # a finding is wanted, not a refusal to look

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = judge(examine())
        urgent = [finding for finding in findings if finding.needs_action]
        if options["json"]:
            body = {"ok": not urgent, "findings": [asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(body, indent=2))
        else:
            for finding in findings:
                self.stdout.write(f"{finding.level:<9} {finding.subject}: {finding.text}")
            self.stdout.write("")
            self.stdout.write(f"To see to: {len(urgent)}." if urgent else "Nothing needs attention.")
        if urgent:
            raise SystemExit(1)
