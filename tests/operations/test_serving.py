"""`make serve` and the operator's commands, on real processes with production settings."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from oneai import env as settings_reader
from tests.servers.databases import Databases
from tests.servers.process import ROOT, listening
from tests.servers.site import CommandFailed, Site, machine_environment, production_settings


def serve(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A server that is expected not to start."""
    env = machine_environment() | settings
    return subprocess.run(
        [sys.executable, "tools/serve.py"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


def test_a_server_without_settings_names_everything_that_is_missing_at_once() -> None:
    done = serve({})
    assert done.returncode == 1
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "SITE_URL", "OPENROUTER_API_KEY"):
        assert name in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
        ({"SITE_URL": "http://chat.example.com"}, "SITE_URL"),
        ({"OPENROUTER_API_KEY": ""}, "OPENROUTER_API_KEY"),
        ({"GOOGLE_CLIENT_ID": "id"}, "GOOGLE_CLIENT_SECRET"),
        ({"RAZORPAY_KEY_ID": "rzp_live_AAAAAA01"}, "RAZORPAY_KEY_SECRET and RAZORPAY_WEBHOOK_SECRET are missing"),
        ({"DEBUG": "1", "RAZORPAY_KEY_SECRET": "s"}, "RAZORPAY_KEY_ID and RAZORPAY_WEBHOOK_SECRET are missing"),
        ({"SECRET_KEY": "", "SECRET_KEY_FILE": "/no/such/file"}, "SECRET_KEY_FILE: /no/such/file can't be read"),
        ({"SECRET_KEY_FALLBACKS": "short," + "x" * 50}, "SECRET_KEY_FALLBACKS"),
        ({"SITE_URL": "https://elsewhere.example"}, "ALLOWED_HOSTS does not name elsewhere.example"),
        ({"RAZORPAY_KEY_ID": "rzp_test_x"}, "RAZORPAY_KEY_ID must be rzp_test_ or rzp_live_ and then 6 to 40"),
        ({"EMAIL_URL": "mail.example.com:587"}, "EMAIL_URL must be smtp://"),
        ({"EMAIL_URL": "smtp://mail.example.com:mail"}, "EMAIL_URL has a port that is none"),
        ({"REDIS_URL": "redis://redis:port/0"}, "REDIS_URL has a port that is none"),
        ({"WEB_CONCURRENCY": "many"}, "WEB_CONCURRENCY must be a whole number"),
        ({"PORT": "65536"}, "PORT must be at most 65535"),
        ({"TRUSTED_PROXIES": "-1"}, "TRUSTED_PROXIES must be at least 0"),
    ],
)
def test_a_bad_setting_refuses_the_start_by_its_name(settings: dict[str, str], named: str) -> None:
    good = production_settings(1, "sqlite:////nonexistent/db.sqlite3") | {"OPENROUTER_API_KEY": "sk-or-v1-x"}
    done = serve(good | settings)
    assert done.returncode == 1
    assert named in done.stderr


@pytest.mark.parametrize("amount", ["viel", "-5", "nan", "1e9"])
def test_an_amount_that_is_none_is_refused_by_its_name(amount: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATFORM_DAILY_USD", amount)
    with pytest.raises(ImproperlyConfigured, match="PLATFORM_DAILY_USD must be an amount in US dollars"):
        settings_reader.dollars("PLATFORM_DAILY_USD", "25")


@pytest.mark.parametrize(
    "url", ["postgres//x", "postgresql://oneai:pa/ss@host/oneai", "postgresql://host:5432", "mysql://host/oneai", "x"]
)
def test_an_address_of_no_database_is_refused_by_its_name(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ImproperlyConfigured, match=r"DATABASE_URL (must be postgresql://|names no database)"):
        settings_reader.database("DATABASE_URL")


def test_payments_set_in_part_fail_the_check_of_a_deployment_by_name() -> None:
    good = production_settings(1, "sqlite:////nonexistent/db.sqlite3") | {"OPENROUTER_API_KEY": "sk-or-v1-x"}
    env = machine_environment() | good | {"RAZORPAY_KEY_ID": "rzp_live_AAAAAA01", "RAZORPAY_KEY_SECRET": "s"}
    command = [sys.executable, "manage.py", "check", "--deploy"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "Razorpay is set in part: RAZORPAY_WEBHOOK_SECRET is missing" in done.stderr


def test_a_secret_may_come_in_a_file(database: Databases, tmp_path: Path) -> None:
    settings = production_settings(1, database.migrated()) | {"OPENROUTER_API_KEY": "sk-or-v1-x"}
    secret = tmp_path / "secret_key"
    secret.write_text(settings.pop("SECRET_KEY") + "\n")
    env = machine_environment() | settings | {"SECRET_KEY_FILE": str(secret)}
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_site_says_that_it_lives_and_that_it_is_ready(live_site: Site) -> None:
    for path in ("healthz", "readyz"):
        with urllib.request.urlopen(f"{live_site.url}/{path}") as answer:
            assert json.load(answer) == {"status": "ok"}
            assert "server" not in {name.lower() for name in answer.headers}


def test_a_site_without_migrations_lives_but_is_not_ready(database: Databases, tmp_path: Path) -> None:
    settings = {"OPENROUTER_API_KEY": "sk-or-v1-x"}
    site = Site(database.empty(), tmp_path, settings=settings, worker=False)
    try:
        with pytest.raises(Exception, match="did not answer"):
            site.start(seconds=8)
        assert urllib.request.urlopen(f"{site.url}/healthz").status == 200
    finally:
        site.stop()


@pytest.mark.faults
def test_a_stopped_site_ends_by_itself_and_starts_again(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(processes=2)
    assert site.terminate() == 0
    assert not listening(site.port)
    site.start()
    assert site.ready()


@pytest.mark.faults
def test_a_killed_site_starts_again_on_the_same_port(fresh_site: Callable[..., Site]) -> None:
    site = fresh_site(processes=2)
    site.kill()
    for _ in range(100):  # the kernel closes the sockets of a killed process when it gets to it
        if not listening(site.port):
            break
        time.sleep(0.1)
    assert not listening(site.port)
    site.start()
    assert site.ready()


def test_the_doctor_asks_for_the_seller_and_the_documentation_and_then_for_nothing(
    fresh_site: Callable[..., Site],
) -> None:
    site = fresh_site()

    def urgent() -> set[tuple[str, str]]:
        report = json.loads(site.manage("doctor", "--json", check=False))
        found = {(each["level"], each["subject"]) for each in report["findings"]}
        assert report["ok"] is not any(level in {"missing", "unsafe"} for level, _ in found)
        return {(level, subject) for level, subject in found if level in {"missing", "unsafe"}}

    embedded = {("unsafe", "Database")} if site.env["DATABASE_URL"].startswith("sqlite") else set()
    assert urgent() == embedded | {("missing", "The seller"), ("missing", "Documentation")}
    site.command(
        "shell", "-c", "from billing.models import Seller; Seller.objects.create(legal_name='Banyan Software')"
    )
    site.command("load_content")
    assert urgent() == embedded


def test_the_doctor_names_a_dead_upstream_and_fails(live_site: Site) -> None:
    env = live_site.env | {"OPENROUTER_BASE_URL": "http://127.0.0.1:9/api/v1"}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "Upstream openrouter: does not answer" in done.stdout


def test_a_command_that_fails_says_why_on_stderr(live_site: Site) -> None:
    with pytest.raises(CommandFailed, match="not-an-address"):
        live_site.manage("create_user", "not-an-address")
    done = live_site.run("create_user", "not-an-address")
    assert done.returncode == 1
    assert done.stdout == ""


def test_static_files_are_served_for_a_year(live_site: Site) -> None:
    manifest = json.loads((ROOT / "frontend" / "dist" / ".vite" / "manifest.json").read_text(encoding="utf-8"))
    script = next(entry["file"] for entry in manifest.values() if entry.get("isEntry"))
    with urllib.request.urlopen(f"{live_site.url}/static/{script}") as answer:
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.postgresql
@pytest.mark.slow
def test_the_roles_of_a_hosted_data_api_can_read_nothing(database: Databases, postgres: object, tmp_path: Path) -> None:
    """As an older Supabase project has them: everything new is granted to the public key's roles."""
    import psycopg
    from psycopg import errors, sql

    url = database.empty()
    superuser = url.replace("//oneai@", "//postgres@")
    with psycopg.connect(superuser, autocommit=True) as connection:
        for role in ("anon", "authenticated"):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(f"CREATE ROLE {role} NOLOGIN")
        connection.execute("ALTER DEFAULT PRIVILEGES FOR ROLE oneai GRANT ALL ON TABLES TO anon, authenticated")
    site = Site(url, tmp_path, settings={"OPENROUTER_API_KEY": "sk-or-v1-x"})
    site.manage("migrate", "-v", "0")
    with psycopg.connect(superuser, autocommit=True) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'oneai'").fetchall()
        assert len(tables) > 10
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute("SET ROLE anon")
        for (table,) in tables:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier("oneai", table)))
    report = json.loads(site.manage("doctor", "--json", check=False))
    api = [found["level"] for found in report["findings"] if found["subject"] == "Data API"]
    assert api == ["ok"]
