"""What `manage.py doctor` says: judgements about what was found, in plain words, without looking anything up.

`adminpanel.doctor_probes` finds the facts; the functions here only judge them, so that every
sentence can be tested without a broken server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import urlsplit

from adminpanel.doctor_findings import Finding, Level, is_here
from adminpanel.doctor_keys import Keys, judge_keys
from adminpanel.doctor_payments import Payments, judge_payments
from oneai.kit import hosts

SHORTEST_SECRET = 50
SHORTEST_WEBHOOK_SECRET = 32
# A worker sends mail and settles orphaned holds every second; later than this, none is at work.
PATIENCE_SECONDS = 120
# A worker looks at the ledger every ten minutes, and as soon as it starts.
SIGN_SECONDS = 1500
API_ROLES = ("anon", "authenticated", "service_role")
ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the settings say. ``groups`` maps a service to its settings and whether each has a value."""

    debug: bool
    site_url: str
    allowed_hosts: tuple[str, ...]
    secret_key_length: int
    secret_key_generated: bool
    trusted_proxies: int
    imitated: Mapping[str, str]
    groups: Mapping[str, Mapping[str, bool]]
    webhook_secret_lengths: tuple[int, ...] = ()
    mail: bool = False
    daily_usd: str = "25"
    metrics: bool = False


@dataclass(frozen=True, slots=True)
class Database:
    """What the database said. ``error`` says why it said nothing, if so; schema facts are PostgreSQL's."""

    vendor: str
    host: str = ""
    sslmode: str = ""
    error: str = ""
    pending: int = 0
    schema: str = ""
    current_schema: str = ""
    api_roles: tuple[str, ...] = ()
    tables_without_rls: tuple[str, ...] = ()
    readable_by_api_roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """What waits for a worker, in seconds since it was due; None when nothing waits."""

    oldest_mail_seconds: float | None = None
    oldest_hold_seconds: float | None = None
    dead_mails: int = 0
    models: int = 0
    pages: int = 0
    ledger_differences: int = 0
    ledger_checked_seconds: float | None = None
    sells_unnamed: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the judgements need. ``upstreams`` maps a name to what is wrong with it, or to nothing."""

    configuration: Configuration
    database: Database
    work: Work | None
    redis_error: str | None = None  # None: not configured; empty: it answers
    upstreams: Mapping[str, str] = field(default_factory=dict)
    static_files: int = 0
    payments: Payments | None = None  # None: off, or its tables are not there
    keys: Keys | None = None  # None: their tables are not there
    mail_trouble: str = ""  # what is wrong with the mail server


def is_far(host: str) -> bool:
    """Whether traffic to a host leaves the private network, as far as the name tells."""
    if is_here(host) or "." not in host:
        return False
    try:
        return not ipaddress.ip_address(host).is_private
    except ValueError:
        return True


def judge_site(conf: Configuration) -> Iterator[Finding]:
    """Debugging, address, secret key, hosts."""
    host = urlsplit(conf.site_url).hostname or ""
    public = not is_here(host)
    wide_open = [host for host in conf.allowed_hosts if host == "*"]
    if conf.debug and (public or wide_open or any(not is_here(host) for host in conf.allowed_hosts)):
        yield Finding(Level.UNSAFE, "DEBUG", "is on, and the site has a public name: errors would show its source.")
    elif conf.debug:
        yield Finding(Level.OK, "DEBUG", "is on: this is development, reachable from this machine only.")
    else:
        yield Finding(Level.OK, "DEBUG", "is off.")
    if public and conf.site_url.startswith("http://"):
        yield Finding(Level.UNSAFE, "SITE_URL", f"{conf.site_url} has no TLS: passwords and keys travel in the clear.")
    else:
        yield Finding(Level.OK, "SITE_URL", f"is {conf.site_url}.")
    if conf.secret_key_length < SHORTEST_SECRET:
        yield Finding(Level.UNSAFE, "SECRET_KEY", f"has fewer than {SHORTEST_SECRET} characters.")
    elif conf.secret_key_generated:
        yield Finding(Level.OK, "SECRET_KEY", "was generated for this checkout.")
    else:
        yield Finding(Level.OK, "SECRET_KEY", "is set.")
    if wide_open:
        yield Finding(Level.UNSAFE, "ALLOWED_HOSTS", "is *: anybody may invent the name of this site.")
    if conf.allowed_hosts and not hosts.names(conf.allowed_hosts, host):
        text = f"does not name {host}, the host of SITE_URL: every request is refused."
        yield Finding(Level.MISSING, "ALLOWED_HOSTS", text)
    if conf.site_url.startswith("https://") and not conf.debug and not conf.trusted_proxies:
        text = "is 0, but TLS ends in a proxy: all visitors share its address, and one set of limits. Set it to 1."
        yield Finding(Level.UNSAFE, "TRUSTED_PROXIES", text)


def _absent(names: list[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def judge_services(conf: Configuration, mail_trouble: str = "") -> Iterator[Finding]:
    """Google, Razorpay and mail: configured, imitated, off, or set in part."""
    for title, names in conf.groups.items():
        missing = [name for name, given in names.items() if not given]
        if title.lower() in conf.imitated:
            yield Finding(Level.IMITATED, title, f"by the sandbox ({_absent(missing)} not set).")
        elif not missing:
            yield Finding(Level.OK, title, "is configured.")
        elif len(missing) == len(names):
            yield Finding(Level.OFF, title, f"is off: {_absent(missing)} not set.")
        else:
            yield Finding(Level.MISSING, title, f"is set in part: {_absent(missing)} missing.")
    if any(length < SHORTEST_WEBHOOK_SECRET for length in conf.webhook_secret_lengths):
        text = f"has fewer than {SHORTEST_WEBHOOK_SECRET} characters: a webhook could be forged."
        yield Finding(Level.UNSAFE, "RAZORPAY_WEBHOOK_SECRET", text)
    if "mail" in conf.imitated:
        yield Finding(Level.IMITATED, "Mail", f"goes to the sandbox's mailbox at {conf.imitated['mail']}.")
    elif mail_trouble:
        yield Finding(Level.MISSING, "Mail", mail_trouble)
    elif conf.mail:
        yield Finding(Level.OK, "Mail", "is configured, and its server answers.")
    else:
        yield Finding(Level.MISSING, "Mail", "can't be sent: EMAIL_URL is not set, so nobody can confirm an address.")
    if Decimal(conf.daily_usd):
        yield Finding(Level.OK, "PLATFORM_DAILY_USD", f"is {conf.daily_usd} USD for all users together.")
    else:
        yield Finding(Level.OFF, "PLATFORM_DAILY_USD", "is 0: models that have a price answer nobody.")
    if not conf.metrics:
        yield Finding(Level.OFF, "Metrics", "are closed: METRICS_TOKEN is not set.")


def judge_database(database: Database, *, debug: bool) -> Iterator[Finding]:
    """Reachable, migrated, in its own schema, and closed to the roles of a hosted Data API."""
    if database.error:
        yield Finding(Level.MISSING, "Database", database.error)
        return
    if database.vendor == "sqlite" and not debug:
        text = "is SQLite: right for one machine and a few people, and gone with its disk. Use PostgreSQL for more."
        yield Finding(Level.UNSAFE, "Database", text)
    else:
        title = "PostgreSQL" if database.vendor == "postgresql" else "SQLite"
        yield Finding(Level.OK, "Database", f"{title} answers.")
    if database.pending:
        yield Finding(
            Level.MISSING, "Migrations", f"{database.pending} are not applied: run `python manage.py migrate`."
        )
    else:
        yield Finding(Level.OK, "Migrations", "are applied.")
    if database.vendor == "postgresql":
        yield from judge_exposure(database)


def judge_exposure(database: Database) -> Iterator[Finding]:
    """PostgreSQL alone: search path, encryption on the way, and who else may read."""
    if not database.current_schema and database.pending:
        yield Finding(Level.OK, "Schema", f"{database.schema} is made by the migrations.")
    elif database.current_schema != database.schema:
        where = database.current_schema or "no schema at all"
        text = f"the session works in {where}, not in {database.schema}: give the role that search_path."
        yield Finding(Level.UNSAFE, "Schema", text)
    else:
        yield Finding(Level.OK, "Schema", f"is {database.schema}.")
    if is_far(database.host) and database.sslmode not in ENCRYPTED:
        text = f"to {database.host} may be unencrypted: add ?sslmode=require, or better verify-full."
        yield Finding(Level.UNSAFE, "The way to the database", text)
    if not database.api_roles:
        return
    roles = ", ".join(database.api_roles)
    if database.tables_without_rls:
        shown = ", ".join(database.tables_without_rls[:5])
        text = f"has {len(database.tables_without_rls)} tables without row-level security ({shown}): run migrate."
        yield Finding(Level.UNSAFE, "Data API", text)
    if database.readable_by_api_roles:
        shown = ", ".join(database.readable_by_api_roles[:5])
        yield Finding(Level.UNSAFE, "Data API", f"could read {shown} by a key that is public: run migrate.")
    if not database.tables_without_rls and not database.readable_by_api_roles:
        yield Finding(Level.OK, "Data API", f"its roles ({roles}) may read nothing of ours.")


def judge_upstreams(facts: Facts) -> Iterator[Finding]:
    """Every upstream with its key, and whether there is a model to ask."""
    imitated = "upstream" in facts.configuration.imitated
    for name, trouble in facts.upstreams.items():
        if trouble:
            yield Finding(Level.MISSING, f"Upstream {name}", trouble)
        elif name == "openrouter" and imitated:
            yield Finding(Level.IMITATED, f"Upstream {name}", "by the sandbox (OPENROUTER_API_KEY is not set).")
        elif name == "local":
            yield Finding(Level.OK, f"Upstream {name}", "a small model on this machine answers.")
        else:
            yield Finding(Level.OK, f"Upstream {name}", "answers and takes the key.")
    if not facts.upstreams:
        yield Finding(Level.MISSING, "Upstream", "none is configured: set OPENROUTER_API_KEY or EXTRA_UPSTREAMS.")
    if facts.work is not None and not facts.work.models:
        yield Finding(Level.MISSING, "Models", "none is known yet: run `python manage.py sync_models`.")
    elif facts.work is not None:
        yield Finding(Level.OK, "Models", f"{facts.work.models} can be asked.")
    if facts.work is not None and not facts.work.pages:
        yield Finding(Level.MISSING, "Documentation", "is not there yet: run `python manage.py load_content`.")


def judge_work(facts: Facts) -> Iterator[Finding]:
    """Whether a worker is at work, as far as what waits for it tells; the cache; the static files."""
    if facts.work is not None:
        late = [
            f"{what} has waited for {seconds:.0f} s"
            for what, seconds in (
                ("a mail", facts.work.oldest_mail_seconds),
                ("an orphaned answer", facts.work.oldest_hold_seconds),
            )
            if seconds is not None and seconds > PATIENCE_SECONDS
        ]
        seen = facts.work.ledger_checked_seconds
        if late:
            yield Finding(Level.MISSING, "Worker", f"{' and '.join(late)}: start `python manage.py worker`.")
        elif seen is None or seen > SIGN_SECONDS:
            since = "in the last day" if seen is None else f"for {seen / 60:.0f} minutes"
            yield Finding(Level.MISSING, "Worker", f"none was at work {since}: start `python manage.py worker`.")
        else:
            yield Finding(Level.OK, "Worker", "was at work lately, and nothing has waited for it too long.")
        if facts.work.dead_mails:
            text = f"{facts.work.dead_mails} could not be delivered after every try; see the outbox in the admin."
            yield Finding(Level.MISSING, "Mail", text)
        if facts.work.ledger_differences:
            text = f"does not add up in {facts.work.ledger_differences} places: run `python manage.py audit_ledger`."
            yield Finding(Level.UNSAFE, "Ledger", text)
        elif seen is not None:
            yield Finding(Level.OK, "Ledger", f"adds up; last looked at {seen / 60:.0f} minutes ago.")
        if facts.work.sells_unnamed:
            text = "is not named: invoices have the site's name and no tax. Say who sells on the desk, under Sellers."
            yield Finding(Level.MISSING, "The seller", text)
    if facts.redis_error is None:
        yield Finding(Level.OFF, "Redis", "is not used: the database is the cache. Nothing is lost by it.")
    elif facts.redis_error:
        text = f"does not answer ({facts.redis_error}): everything works without it, but slower."
        yield Finding(Level.MISSING, "Redis", text)
    else:
        yield Finding(Level.OK, "Redis", "answers.")
    if facts.static_files:
        yield Finding(Level.OK, "Static files", f"{facts.static_files} are collected.")
    else:
        yield Finding(Level.MISSING, "Static files", "are not built: run `make build`.")


def judge(facts: Facts) -> list[Finding]:
    """Every finding, in the order in which somebody setting up a site would read them."""
    parts: Iterable[Iterable[Finding]] = (
        judge_site(facts.configuration),
        judge_database(facts.database, debug=facts.configuration.debug),
        judge_keys(facts.keys),
        judge_upstreams(facts),
        judge_services(facts.configuration, facts.mail_trouble),
        judge_payments(facts.payments),
        judge_work(facts),
    )
    return [finding for part in parts for finding in part]
