"""Typed readers of the environment: the only module that looks at it.

A value comes from the process environment, else from the file ``.env`` beside ``manage.py``.
A secret may be given as ``NAME_FILE``, the path of a file that holds it (as container
secrets are). An empty value counts as unset.
"""

from __future__ import annotations

import os
import secrets
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR: Final = Path(__file__).resolve().parent.parent

PRODUCTION_MARKS: Final = ("SECRET_KEY", "SITE_URL", "ALLOWED_HOSTS")
MOST_DOLLARS: Final = 1_000_000
DATABASE_SCHEMES: Final = frozenset({"postgres", "postgresql", "psql", "pgsql", "sqlite"})
MAIL_SCHEMES: Final = frozenset({"smtp", "smtps", "smtp+tls", "smtp+ssl"})

_environ = environ.Env()
if os.environ.get("ONEAI_ENV_FILE", "") != "none":
    environ.Env.read_env(BASE_DIR / ".env")


def text(name: str, default: str = "") -> str:
    """The value of ``name``, or of the file named by ``name_FILE``; ``default`` when unset or empty."""
    value = os.environ.get(name, "").strip()
    if value:
        return value
    path = os.environ.get(f"{name}_FILE", "").strip()
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE: {path} can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ImproperlyConfigured(f"{name}_FILE: {path} is not text") from error
    return value or default


def present(name: str) -> bool:
    """Whether ``name`` has a value that is not empty."""
    return bool(text(name))


def flag(name: str, default: bool = False) -> bool:
    """A yes or no: 1/true/yes/on against 0/false/no/off."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}")


def number(name: str, default: int, *, least: int = 0, most: int = 1_000_000) -> int:
    """A whole number, at least ``least`` and at most ``most``."""
    value = text(name)
    if not value:
        return default
    try:
        result = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number") from error
    if result < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}")
    if result > most:
        raise ImproperlyConfigured(f"{name} must be at most {most}")
    return result


def port() -> int:
    """``PORT``, 8000 unless set."""
    return number("PORT", 8000, least=1, most=65_535)


def dollars(name: str, default: str) -> str:
    """An amount in US dollars from 0 to a million, as it was written."""
    value = text(name, default)
    try:
        good = 0 <= Decimal(value) <= MOST_DOLLARS
    except InvalidOperation:
        good = False
    if not good:
        raise ImproperlyConfigured(f"{name} must be an amount in US dollars such as 25, from 0 to {MOST_DOLLARS}")
    return value


def listed(name: str, default: tuple[str, ...] = ()) -> list[str]:
    """A list given with commas."""
    value = text(name)
    if not value:
        return list(default)
    return [part.strip() for part in value.split(",") if part.strip()]


_files: dict[str, tuple[int, list[str]]] = {}


def listed_now(name: str, known: list[str]) -> list[str]:
    """The list in the file of ``name_FILE`` as it is now; ``known`` when there is no such file, or nothing in it.

    So a key that is written into its file is used without a restart. The file is read when it has changed.
    """
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path or os.environ.get(name, "").strip():
        return known
    try:
        changed = Path(path).stat().st_mtime_ns
        before = _files.get(path)
        if before is None or before[0] != changed:
            value = Path(path).read_text(encoding="utf-8")
            before = _files[path] = (changed, [part.strip() for part in value.split(",") if part.strip()])
    except (OSError, UnicodeDecodeError):
        return known
    return before[1] or known


def url(name: str, default: str = "", *, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """An absolute URL without a trailing slash, its scheme one of ``schemes``."""
    value = text(name, default).rstrip("/")
    if value:
        parts = urlsplit(value)
        if parts.scheme not in schemes or not parts.netloc:
            raise ImproperlyConfigured(f"{name} must be a URL with {' or '.join(schemes)}")
        _check_port(name, value)
    return value


def _check_port(name: str, value: str) -> None:
    try:
        urlsplit(value).port  # noqa: B018 (it is read to be checked)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} has a port that is none") from error


def database(name: str) -> dict[str, object]:
    """A Django database entry from the URL in ``name``."""
    value = text(name)
    wanted = f"{name} must be postgresql://user:password@host:5432/name (percent-encode the password)"
    try:
        parts = urlsplit(value)
        if parts.scheme not in DATABASE_SCHEMES or (parts.scheme != "sqlite" and parts.port == 0):
            raise ImproperlyConfigured(wanted)
        entry = dict(_environ.db_url_config(value))
    except Exception as error:  # the library raises many kinds, and none names the setting
        raise ImproperlyConfigured(wanted) from error
    if not parts.path.strip("/"):
        raise ImproperlyConfigured(f"{name} names no database: it must end with /name")
    return entry


def email(value: str) -> dict[str, object]:
    """Django's e-mail settings from a URL such as ``smtp+tls://user:password@host:587``."""
    wanted = "EMAIL_URL must be smtp://, smtp+tls:// or smtp+ssl:// with user:password@host:587"
    if urlsplit(value).scheme not in MAIL_SCHEMES or not urlsplit(value).hostname:
        raise ImproperlyConfigured(wanted)
    _check_port("EMAIL_URL", value)
    try:
        return dict(_environ.email_url_config(value))
    except Exception as error:
        raise ImproperlyConfigured(wanted) from error


def share_metrics(folder: Path) -> None:
    """Name the folder in which the processes of a host count together; prometheus-client reads it from here."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def debug() -> bool:
    """``DEBUG``; when unset, on unless something that only production sets is there."""
    return flag("DEBUG", default=not any(present(name) for name in PRODUCTION_MARKS))


def migrating() -> bool:
    """Whether this process is `manage.py migrate` or `setup_database`, which change the schema."""
    return len(sys.argv) > 1 and Path(sys.argv[0]).name == "manage.py" and sys.argv[1] in {"migrate", "setup_database"}


def generated_secret(path: Path) -> str:
    """A secret of this checkout for development, made at the first call, readable by its owner only."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(60))
    try:
        os.link(temporary, path)  # the first of several processes wins, and all read its value
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return path.read_text(encoding="utf-8")
