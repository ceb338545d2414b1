"""Run management commands one after another in one process: run as a script, a JSON list a line.

Starting Django costs more than most commands; tests that need twenty users pay it once. Each line
in is a command with its arguments, each line out {"ok": bool, "out": str, "err": str}.
"""

import io
import json
import os
import sys
from contextlib import redirect_stdout


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "oneai.settings")
    answers = sys.stdout
    sys.stdout = sys.stderr
    import django
    from django.core.management import CommandError, call_command
    from django.db import connections

    from tests.servers.passwords import hash_quickly

    django.setup()
    hash_quickly()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        out, err = io.StringIO(), io.StringIO()
        ok = True
        try:
            with redirect_stdout(out):  # what a line of `shell -c` prints
                call_command(name, *arguments, stdout=out, stderr=err)
        except CommandError as error:
            ok = False
            err.write(str(error))
        except SystemExit as error:
            ok = not error.code
        finally:
            connections.close_all()
        print(json.dumps({"ok": ok, "out": out.getvalue(), "err": err.getvalue()}), file=answers, flush=True)


if __name__ == "__main__":
    main()
