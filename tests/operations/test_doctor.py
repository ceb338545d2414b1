"""The doctor's judgements: each bad state is named for what it is, and a good one raises no alarm."""

from dataclasses import replace
from typing import Any

import pytest

from adminpanel.doctor import Configuration, Database, Facts, Work, judge
from adminpanel.doctor_findings import Finding, Level
from adminpanel.doctor_keys import Keys
from adminpanel.doctor_payments import Payments

GOOGLE = {"GOOGLE_CLIENT_ID": True, "GOOGLE_CLIENT_SECRET": True}
RAZORPAY = {"RAZORPAY_KEY_ID": False, "RAZORPAY_KEY_SECRET": False, "RAZORPAY_WEBHOOK_SECRET": False}
PRODUCTION = Configuration(
    debug=False,
    site_url="https://chat.example.com",
    allowed_hosts=("chat.example.com",),
    secret_key_length=64,
    secret_key_generated=False,
    trusted_proxies=1,
    imitated={},
    groups={"Google": GOOGLE, "Razorpay": RAZORPAY},
    mail=True,
    daily_usd="25",
    metrics=True,
)
POSTGRES = Database(
    "postgresql",
    host="db.example.net",
    sslmode="require",
    schema="oneai",
    current_schema="oneai",
    api_roles=("anon", "authenticated"),
)
WORK = Work(ledger_checked_seconds=60, models=3, pages=26)
HEALTHY = Facts(
    configuration=PRODUCTION,
    database=POSTGRES,
    work=WORK,
    redis_error="",
    upstreams={"openrouter": ""},
    static_files=20,
)

LIVE = Payments(
    site_url="https://chat.example.com",
    base_url="https://api.razorpay.com",
    live=True,
    development=False,
    last_event_seconds=60,
)


def with_payments(**changes: Any) -> Facts:
    return replace(HEALTHY, payments=replace(LIVE, **changes))


def with_settings(**changes: Any) -> Facts:
    return replace(HEALTHY, configuration=replace(PRODUCTION, **changes))


def at_work(**changes: Any) -> Facts:
    return replace(HEALTHY, work=replace(WORK, **changes))


def with_keys(**found: Any) -> Facts:
    return replace(HEALTHY, keys=Keys(**found))


def with_database(**changes: Any) -> Facts:
    return replace(HEALTHY, database=replace(POSTGRES, **changes))


def urgent(facts: Facts) -> list[Finding]:
    return [finding for finding in judge(facts) if finding.needs_action]


def test_a_site_that_is_set_up_well_needs_nothing() -> None:
    assert urgent(HEALTHY) == []
    assert urgent(with_payments()) == []
    assert urgent(with_payments(base_url="https://prod-api-static.razorpay.com", oldest_waiting_seconds=3)) == []


@pytest.mark.parametrize("imitated", [True, False])
def test_payments_for_tests_on_a_machine_of_ones_own_are_no_alarm(imitated: bool) -> None:
    at_home = {"site_url": "http://localhost:8000", "live": False, "development": True, "last_event_seconds": None}
    assert urgent(with_payments(**at_home, imitated=imitated)) == []


@pytest.mark.parametrize(
    ("facts", "level", "subject"),
    [
        (with_settings(debug=True), Level.UNSAFE, "DEBUG"),
        (with_settings(site_url="http://chat.example.com"), Level.UNSAFE, "SITE_URL"),
        (with_settings(secret_key_length=49), Level.UNSAFE, "SECRET_KEY"),
        (with_settings(allowed_hosts=("*",)), Level.UNSAFE, "ALLOWED_HOSTS"),
        (with_settings(allowed_hosts=("example.com",)), Level.MISSING, "ALLOWED_HOSTS"),
        (with_settings(trusted_proxies=0), Level.UNSAFE, "TRUSTED_PROXIES"),
        (with_keys(entries=9, unverified_entries=4), Level.UNSAFE, "SECRET_KEY"),
        (with_keys(sealed=2, unopened=1), Level.UNSAFE, "FIELD_ENCRYPTION_KEYS"),
        (with_keys(field_key_lengths=(44, 5)), Level.UNSAFE, "FIELD_ENCRYPTION_KEYS"),
        (replace(HEALTHY, mail_trouble="can't be sent: no host is known."), Level.MISSING, "Mail"),
        (with_settings(mail=False), Level.MISSING, "Mail"),
        (with_settings(groups={"Google": GOOGLE | {"GOOGLE_CLIENT_SECRET": False}}), Level.MISSING, "Google"),
        (with_settings(groups={"Razorpay": RAZORPAY | {"RAZORPAY_KEY_ID": True}}), Level.MISSING, "Razorpay"),
        (with_settings(webhook_secret_lengths=(40, 31)), Level.UNSAFE, "RAZORPAY_WEBHOOK_SECRET"),
        (replace(HEALTHY, database=Database("sqlite")), Level.UNSAFE, "Database"),
        (with_database(error="connection refused"), Level.MISSING, "Database"),
        (with_database(pending=2), Level.MISSING, "Migrations"),
        (with_database(pending=77, current_schema=""), Level.MISSING, "Migrations"),
        (with_database(current_schema="public"), Level.UNSAFE, "Schema"),
        (with_database(sslmode="prefer"), Level.UNSAFE, "The way to the database"),
        (with_database(tables_without_rls=("users",)), Level.UNSAFE, "Data API"),
        (with_database(readable_by_api_roles=("users",)), Level.UNSAFE, "Data API"),
        (replace(HEALTHY, upstreams={}), Level.MISSING, "Upstream"),
        (replace(HEALTHY, upstreams={"openrouter": "refuses the key"}), Level.MISSING, "Upstream openrouter"),
        (at_work(models=0), Level.MISSING, "Models"),
        (at_work(pages=0), Level.MISSING, "Documentation"),
        (at_work(ledger_checked_seconds=None), Level.MISSING, "Worker"),
        (at_work(ledger_checked_seconds=1501), Level.MISSING, "Worker"),
        (
            at_work(oldest_mail_seconds=121),
            Level.MISSING,
            "Worker",
        ),
        (
            at_work(oldest_hold_seconds=121),
            Level.MISSING,
            "Worker",
        ),
        (at_work(dead_mails=1), Level.MISSING, "Mail"),
        (
            at_work(ledger_differences=1),
            Level.UNSAFE,
            "Ledger",
        ),
        (
            at_work(sells_unnamed=True),
            Level.MISSING,
            "The seller",
        ),
        (replace(HEALTHY, redis_error="connection refused"), Level.MISSING, "Redis"),
        (replace(HEALTHY, static_files=0), Level.MISSING, "Static files"),
        (with_payments(trouble="it refuses the key."), Level.MISSING, "Razorpay's answer"),
        (with_payments(live=False), Level.UNSAFE, "Razorpay's key"),
        (with_payments(development=True), Level.UNSAFE, "Razorpay's key"),
        (with_payments(base_url="https://elsewhere.example"), Level.UNSAFE, "Razorpay's key"),
        (with_payments(site_url="https://localhost"), Level.UNSAFE, "Razorpay's key"),
        (with_payments(site_url="http://chat.example.com"), Level.MISSING, "Payment events"),
        (with_payments(site_url="https://chat.example.com:8443"), Level.MISSING, "Payment events"),
        (with_payments(door_trouble="answers with status 404."), Level.MISSING, "Payment events"),
        (with_payments(last_event_seconds=None), Level.MISSING, "Payment events"),
        (with_payments(oldest_waiting_seconds=901), Level.MISSING, "Payment events"),
        (with_payments(dead_events=2), Level.MISSING, "Payment events"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_else_is(facts: Facts, level: Level, subject: str) -> None:
    assert [(finding.level, finding.subject) for finding in urgent(facts)] == [(level, subject)]


def test_what_the_sandbox_imitates_is_said_and_is_no_alarm() -> None:
    nothing = {"GOOGLE_CLIENT_ID": False, "GOOGLE_CLIENT_SECRET": False}
    facts = with_settings(
        debug=True,
        site_url="http://localhost:8000",
        allowed_hosts=("localhost", "127.0.0.1", "[::1]"),
        imitated={"google": "x", "mail": "http://127.0.0.1:8010/mail", "upstream": "y"},
        groups={"Google": nothing},
        mail=False,
    )
    assert urgent(facts) == []
    imitated = {finding.subject for finding in judge(facts) if finding.level is Level.IMITATED}
    assert imitated == {"Google", "Mail", "Upstream openrouter"}


def test_a_database_in_the_private_network_needs_no_encryption() -> None:
    for host in ("postgres", "10.1.2.3", "127.0.0.1", "/var/run/postgresql"):
        assert urgent(with_database(host=host, sslmode="")) == []


def test_the_answer_of_a_dead_database_is_not_mixed_with_guesses_about_the_worker() -> None:
    facts = replace(with_database(error="gone"), work=None)
    assert [finding.subject for finding in urgent(facts)] == ["Database"]
