#!/usr/bin/env python
"""Operator commands; see `manage.py help` and docs/operations."""

import os
import sys


def main() -> int:
    """Run a command; settings that are missing are told as sentences, not as a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneai.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
