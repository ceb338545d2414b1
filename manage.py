#!/usr/bin/env python
"""Operator commands; see `manage.py help` and docs/operations."""

import logging
import os
import sys


def main() -> int:
    """Run a command; what settings or a database lack is told as a sentence, not as a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneai.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    if sys.argv[1:2] != ["worker"]:  # a command says once what the pool would say at every try
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 1
    except DatabaseError as error:
        from oneai.kit import diagnosis

        if not (words := diagnosis.told(error)):
            raise
        print(words, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
