"""The container files agree with each other: what no schema can say."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec.compose_spec import PyCompose

ROOT = Path(__file__).resolve().parent.parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCUMENTED = {
    line.split("=")[0] for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines() if "=" in line
}
CONDITIONS = {"service_healthy", "service_completed_successfully", "service_started"}


def has_healthcheck(name: str) -> bool:
    check = SERVICES[name].get("healthcheck")
    return not check.get("disable") if check else SERVICES[name].get("build") is not None


def test_the_file_follows_the_specification() -> None:
    """The library knows neither merge keys nor variables, so both are resolved first; JSON is YAML."""
    filled = re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", lambda found: found[1] or "value", json.dumps(COMPOSE))
    PyCompose.from_yaml(filled).validate()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_only_for_services_that_exist_and_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        assert how["condition"] in CONDITIONS
        if how["condition"] == "service_healthy":
            assert has_healthcheck(other), f"{name} waits for {other} to be healthy, which nothing checks"
        if how["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_networks_and_secrets_of_a_service_are_declared(name: str) -> None:
    service = SERVICES[name]
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists(), f"{source} is mounted but not in the repository"
        else:
            assert source in COMPOSE["volumes"]
    assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_setting_from_a_secret_file_has_its_secret(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if variable.endswith("_FILE"):
            secret = str(value).removeprefix("/run/secrets/")
            assert secret in SERVICES[name]["secrets"], f"{variable} names a secret that {name} doesn't get"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_gain_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "privileged" not in service


def test_only_the_proxy_opens_ports() -> None:
    assert [name for name in SERVICES if SERVICES[name].get("ports")] == ["proxy"]


def test_the_data_stores_reach_nothing_outside() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", "redis"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_every_variable_is_documented() -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT)) - {"ONEAI_VERSION"}
    assert used <= DOCUMENTED


def test_every_setting_given_to_the_site_is_one_it_knows() -> None:
    given = {name.removesuffix("_FILE") for name in SERVICES["web"]["environment"]}
    assert given <= DOCUMENTED


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if name == "RAZORPAY_KEY_ID":  # it stands in every page that opens the payment window
                continue
            if re.search(r"KEY|SECRET|PASSWORD|TOKEN|DATABASE_URL|EMAIL_URL", name):
                assert str(value).startswith("/run/secrets/"), f"{name} is given in the clear"


def test_the_image_gets_every_folder_of_the_product() -> None:
    copied = set(re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    product = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {
        "sandbox",
        "tests",
        "tools",
        "benchmarks",
    }
    assert product | {"docs", "templates"} == copied


def test_the_image_does_not_run_as_root_and_says_whether_it_is_well() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    last_stage = lines[max(place for place, line in enumerate(lines) if line.startswith("FROM ")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER ")]
    assert users
    assert users[-1].split(":")[0] not in {"0", "root"}
    assert any(line.startswith("HEALTHCHECK") for line in last_stage)


def test_the_builder_is_given_no_secret() -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in allowed
    assert not [line for line in allowed if line.startswith("!") and re.search(r"env|secret|data", line)]


def test_new_secrets_are_what_compose_asks_for_and_are_never_replaced(tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
    script += f"from tools.new_secrets import make; import json; print(json.dumps(make(Path({str(tmp_path)!r}))))"
    first, second = (
        json.loads(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    )
    assert set(first) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert second == []
    assert len((tmp_path / "secret_key").read_text()) >= 50
    assert (tmp_path / "postgres_password").read_text() in (tmp_path / "database_url").read_text()


def test_the_proxy_waits_longer_than_a_restart_takes_and_drops_idle_connections_before_the_site_does() -> None:
    text = (ROOT / "deploy" / "Caddyfile").read_text(encoding="utf-8")
    seconds = {name: int(value) for name, value in re.findall(r"^\s*(lb_try_duration|keepalive) (\d+)s$", text, re.M)}
    web_worker = (ROOT / "tools" / "web_worker.py").read_text(encoding="utf-8")
    found = re.findall(r"^(\w+_SECONDS): Final = ([\d.]+)", web_worker, re.M)
    of_the_site = {name: float(value) for name, value in found}
    assert seconds["lb_try_duration"] > of_the_site["GRACEFUL_SECONDS"] + 10
    assert seconds["keepalive"] < of_the_site["KEEP_ALIVE_SECONDS"]
