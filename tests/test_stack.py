"""The compose files, and what ClickHouse and SigNoz are started with."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from packaging.requirements import Requirement

from signoz_tables import database
from stack_files import ROOT, loaded, posix, program, run

COMPOSE_FILES = ("docker-compose.yml", "docker-compose.login.yml")
ONE_SHOT = {"migrator", "provision", "check-login"}
STACK = loaded(COMPOSE_FILES[0])
SERVICES: dict[str, Any] = STACK["services"]
LOGIN: dict[str, Any] = loaded(*COMPOSE_FILES)["services"]
LONG_RUNNING = sorted(LOGIN.keys() - ONE_SHOT)
every_service = pytest.mark.parametrize("name", sorted(LOGIN))


# --- compose -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMPOSE_FILES)
def test_a_compose_file_is_valid_by_the_compose_specification(name: str) -> None:
    # The specification's own schema (Apache-2.0), as check-jsonschema 0.39.0 ships it.
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(loaded(name))


def _docker_compose_config(*files: str, **environment: str) -> subprocess.CompletedProcess[str]:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not installed")
    arguments = [part for name in files for part in ("-f", name)]
    return subprocess.run(
        [docker, "compose", "--env-file", os.devnull, *arguments, "--profile", "*", "config", "--quiet"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@posix
def test_docker_accepts_the_bare_stack() -> None:
    ran = _docker_compose_config(COMPOSE_FILES[0])
    assert ran.returncode == 0, ran.stderr


@posix
def test_docker_accepts_the_stack_with_credentials() -> None:
    ran = _docker_compose_config(*COMPOSE_FILES, SIGNOZ_ADMIN_EMAIL="a@b.example", SIGNOZ_ADMIN_PASSWORD="x")
    assert ran.returncode == 0, ran.stderr


@posix
def test_docker_refuses_the_login_file_without_a_password() -> None:
    ran = _docker_compose_config(*COMPOSE_FILES, SIGNOZ_ADMIN_EMAIL="a@b.example")
    assert ran.returncode != 0
    assert "SIGNOZ_ADMIN_PASSWORD" in ran.stderr


def _before(services: Mapping[str, Any], name: str) -> dict[str, str]:
    return {other: how["condition"] for other, how in services[name].get("depends_on", {}).items()}


def test_services_start_when_what_they_need_is_ready() -> None:
    assert {name: _before(SERVICES, name) for name in SERVICES} == {
        "keeper": {},
        "clickhouse": {"keeper": "service_healthy"},
        "migrator": {"clickhouse": "service_healthy"},
        "signoz": {"migrator": "service_completed_successfully"},
        "provision": {"signoz": "service_healthy"},
        "otel-collector": {
            "migrator": "service_completed_successfully",
            "provision": "service_completed_successfully",
        },
        "alerts": {"signoz": "service_healthy"},
        "demo": {"otel-collector": "service_healthy"},
    }


def test_telemetry_is_taken_even_where_provisioning_fails() -> None:
    assert SERVICES["otel-collector"]["depends_on"]["provision"]["required"] is False


def test_all_that_starts_by_itself_waits_for_the_check_of_the_login() -> None:
    def reaches(name: str) -> bool:
        return name == "check-login" or any(reaches(other) for other in _before(LOGIN, name))

    assert {name for name in LOGIN if not reaches(name)} == set()


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_long_running_service_has_a_health_check_and_is_restarted(name: str) -> None:
    assert LOGIN[name]["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert LOGIN[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(ONE_SHOT))
def test_a_one_shot_service_is_not_restarted(name: str) -> None:
    assert LOGIN[name]["restart"] == "no"


@every_service
def test_every_service_has_a_memory_limit(name: str) -> None:
    assert re.fullmatch(r"\d+[mg]", LOGIN[name]["mem_limit"])


def test_what_runs_all_the_time_fits_into_four_gigabytes() -> None:
    mib = {"m": 1, "g": 1024}
    limits = [SERVICES[name]["mem_limit"] for name in ("keeper", "clickhouse", "signoz", "otel-collector")]
    assert sum(int(limit[:-1]) * mib[limit[-1]] for limit in limits) < 4096


@every_service
def test_every_log_is_rotated(name: str) -> None:
    assert LOGIN[name]["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@every_service
def test_no_service_can_gain_privileges(name: str) -> None:
    assert LOGIN[name]["security_opt"] == ["no-new-privileges:true"]


def test_ports_are_open_on_loopback_alone() -> None:
    ports = {name: service["ports"] for name, service in LOGIN.items() if "ports" in service}
    assert ports.keys() == {"signoz", "otel-collector"}
    assert {port["host_ip"] for of_service in ports.values() for port in of_service} == {"127.0.0.1"}


def test_clickhouse_which_has_no_password_is_on_a_network_without_a_way_out() -> None:
    assert SERVICES["clickhouse"]["networks"] == SERVICES["keeper"]["networks"] == ["storage"]
    assert STACK["networks"]["storage"]["internal"] is True


def _mounts(service: Mapping[str, Any]) -> list[tuple[str, str]]:
    mounts = service.get("volumes", [])
    return [(m["source"], m["target"]) if isinstance(m, dict) else tuple(m.split(":"))[:2] for m in mounts]


def test_data_is_in_named_volumes() -> None:
    named = {
        source: target for s in SERVICES.values() for source, target in _mounts(s) if not source.startswith((".", "$"))
    }
    assert named == {
        "keeper": "/var/lib/clickhouse",
        "clickhouse": "/var/lib/clickhouse",
        "signoz": "/var/lib/signoz",
        "queue": "/var/tmp",
        "alerts": "/var/lib/attune",
    }
    assert STACK["volumes"].keys() == named.keys()


def test_every_file_that_is_mounted_is_there() -> None:
    mounted = {source for service in LOGIN.values() for source, _ in _mounts(service) if source.startswith((".", "$"))}
    files = {re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", source) for source in mounted}
    assert [name for name in sorted(files) if not (ROOT / name).exists()] == []


# --- versions ----------------------------------------------------------------------------------------------------

_DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")


def _offered() -> dict[str, str]:
    return dict(re.findall(r"^# ?(\w+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_image_has_a_version_and_none_is_latest() -> None:
    images = {name: service["image"] for name, service in LOGIN.items()}
    assert {
        name: image for name, image in images.items() if not re.search(r":\$\{\w+_VERSION:-v?\d+\.\d+\.\d+\}$", image)
    } == {}


def test_the_example_file_offers_the_values_that_hold_without_it() -> None:
    used = dict(_DEFAULT.findall("".join((ROOT / name).read_text(encoding="utf-8") for name in COMPOSE_FILES)))
    offered = {name: value for name, value in _offered().items() if name in used}
    assert offered == used


def test_what_is_handed_on_to_the_alerts_is_in_the_example_file() -> None:
    handed_on = {name for name, value in SERVICES["alerts"]["environment"].items() if value is None}
    assert handed_on <= _offered().keys()


def test_the_channels_of_the_example_rules_get_their_variables() -> None:
    rules = (ROOT / "docs/examples/alerts.yaml").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"\$\{([A-Z_]+)", rules) if name != "NAME"}
    assert named <= SERVICES["alerts"]["environment"].keys()


def test_nothing_in_the_example_file_is_active() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_images_own_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert _offered()["ATTUNE_VERSION"] == project["version"]


def test_the_dockerfile_has_the_same_python() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^ARG PYTHON_VERSION=(.*)$", dockerfile, re.MULTILINE) == [_offered()["PYTHON_VERSION"]]


def test_the_image_does_not_run_as_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["10001"]


def test_the_image_installs_every_dependency_in_a_version_that_is_allowed() -> None:
    lines = (ROOT / "deploy/requirements.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [Requirement(text) for text in project["dependencies"]]
    assert [str(r) for r in needed if r.name not in pinned or pinned[r.name] not in r.specifier] == []


# --- login -------------------------------------------------------------------------------------------------------


def test_without_the_login_file_nobody_signs_in() -> None:
    environment = SERVICES["signoz"]["environment"]
    assert environment["SIGNOZ_IDENTN_IMPERSONATION_ENABLED"] == "true"
    assert environment["SIGNOZ_IDENTN_TOKENIZER_ENABLED"] == environment["SIGNOZ_IDENTN_APIKEY_ENABLED"] == "false"


def test_no_file_holds_a_password() -> None:
    def secrets(value: Any, key: str = "") -> list[str]:
        if isinstance(value, dict):
            return [found for name, item in value.items() for found in secrets(item, str(name))]
        secret = (
            value is not None
            and re.search("PASSWORD|SECRET|TOKEN$|KEY$", key)
            and not re.fullmatch(r"\$\{\w+(:-|:\?[^}]*)\}", str(value))
        )
        return [f"{key}={value}"] if secret else []

    assert [found for name in COMPOSE_FILES for found in secrets(loaded(name))] == []
    assert [
        name for name, value in _offered().items() if re.search("PASSWORD|TOKEN|KEY$", name) and value.strip("'")
    ] == []


@pytest.mark.parametrize("name", ["SIGNOZ_USER_ROOT_EMAIL", "SIGNOZ_USER_ROOT_PASSWORD"])
def test_the_login_file_is_refused_without_credentials(name: str) -> None:
    assert re.fullmatch(r"\$\{SIGNOZ_ADMIN_\w+:\?[^}]+\}", LOGIN["signoz"]["environment"][name])
    assert LOGIN["signoz"]["environment"][name] == LOGIN["check-login"]["environment"][name]


def test_with_the_login_file_one_signs_in_and_keys_work() -> None:
    environment = LOGIN["signoz"]["environment"]
    assert environment["SIGNOZ_IDENTN_IMPERSONATION_ENABLED"] == "false"
    assert environment["SIGNOZ_IDENTN_TOKENIZER_ENABLED"] == environment["SIGNOZ_IDENTN_APIKEY_ENABLED"] == "true"


def _check_login(cwd: Path, password: str, email: str = "ada@lovelace.org") -> subprocess.CompletedProcess[str]:
    return run("check_login.sh", cwd, SIGNOZ_USER_ROOT_EMAIL=email, SIGNOZ_USER_ROOT_PASSWORD=password)


@posix
@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "12 characters"),
        ("Sh0rt!Sh0rt", "12 characters"),
        ("lower-case-0nly", "upper case"),
        ("UPPER-CASE-0NLY", "lower case"),
        ("No-Digits-At-All", "digit"),
        ("LettersAndDigits42", "something beside"),
        ("My-P4ssword-is-Password", "tried first"),
        ("Signoz-Root-2026!", "tried first"),
        ("Countess-Ada-1815!", "name of the address"),
    ],
)
def test_a_weak_password_is_refused(tmp_path: Path, password: str, reason: str) -> None:
    ran = _check_login(tmp_path, password)
    assert ran.returncode == 1
    assert reason in ran.stderr


@posix
def test_a_refusal_does_not_show_the_password(tmp_path: Path) -> None:
    assert "Sup3rSecretButPlain" not in _check_login(tmp_path, "Sup3rSecretButPlain").stderr


@posix
@pytest.mark.parametrize("email", ["", "ada", "ada@", "a da@lovelace.org", "ada@lovelace@org"])
def test_what_is_no_address_is_refused(tmp_path: Path, email: str) -> None:
    assert "not an address" in _check_login(tmp_path, "Turing-Tape-1936!", email).stderr


@posix
def test_a_strong_password_is_accepted(tmp_path: Path) -> None:
    ran = _check_login(tmp_path, "Turing-Tape-1936!")
    assert (ran.returncode, ran.stderr) == (0, "")


@posix
def test_signoz_gets_new_secrets_at_each_start(tmp_path: Path) -> None:
    program(tmp_path / "signoz", 'echo "$1 $SIGNOZ_USER_ROOT_PASSWORD $SIGNOZ_TOKENIZER_JWT_SECRET"')
    first, second = (
        run("signoz.sh", tmp_path, SIGNOZ_IDENTN_IMPERSONATION_ENABLED="true").stdout.split() for _ in range(2)
    )
    assert first[0] == second[0] == "server"
    assert len({*first[1:], *second[1:]}) == 4
    assert min(len(secret) for secret in (*first[1:], *second[1:])) >= 40


@posix
def test_signoz_keeps_the_password_of_the_login(tmp_path: Path) -> None:
    program(tmp_path / "signoz", 'echo "$SIGNOZ_USER_ROOT_PASSWORD"')
    ran = run(
        "signoz.sh",
        tmp_path,
        SIGNOZ_IDENTN_IMPERSONATION_ENABLED="false",
        SIGNOZ_USER_ROOT_PASSWORD="Turing-Tape-1936!",
    )
    assert ran.stdout == "Turing-Tape-1936!\n"


# --- ClickHouse --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["server.xml", "keeper.xml"])
def test_a_file_of_clickhouse_is_well_formed(name: str) -> None:
    assert ET.parse(ROOT / "deploy/clickhouse" / name).getroot().tag == "clickhouse"


def test_clickhouse_and_its_keeper_find_each_other() -> None:
    server = ET.parse(ROOT / "deploy/clickhouse/server.xml").getroot()
    keeper = ET.parse(ROOT / "deploy/clickhouse/keeper.xml").getroot()
    assert server.findtext("zookeeper/node/host") == "keeper"
    assert server.findtext("zookeeper/node/port") == keeper.findtext("keeper_server/tcp_port")
    assert server.find("remote_servers/cluster") is not None


def test_the_merges_of_clickhouse_fit_into_its_pool() -> None:
    server = ET.parse(ROOT / "deploy/clickhouse/server.xml").getroot()
    slots = int(server.findtext("background_pool_size", "")) * 2
    free = [element for element in server.findall("merge_tree/*") if element.tag.startswith("number_of_free_entries")]
    assert len(free) == 3
    assert max(int(element.text or "") for element in free) <= slots


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bounds", "counts", "q", "expected"),
    [
        ([1, 2, math.inf], [5, 8, 10], 0.5, 1.0),
        ([1, 2, math.inf], [5, 8, 10], 0.25, 0.5),
        ([math.inf, 2, 1], [10, 8, 5], 0.65, 1.5),
        ([1, 2, math.inf], [5, 8, 10], 0.95, 2.0),
        ([1, 2, math.inf], [5, 3, 10], 0.5, 1.0),
        ([-1, 2, math.inf], [5, 8, 10], 0.1, -1.0),
        ([1, 2], [5, 8], 0.5, math.nan),
        ([1, math.inf], [0, 0], 0.5, math.nan),
        ([1, math.inf], [5, 10], 1.5, math.inf),
        ([1, math.inf], [5, 10], -0.5, -math.inf),
    ],
)
def test_the_quantile_function_of_clickhouse_is_prometheus_one(
    bounds: list[float], counts: list[float], q: float, expected: float
) -> None:
    session = database()
    create = (ROOT / "deploy/clickhouse/histogram_quantile.sql").read_text(encoding="utf-8")
    rows = ", ".join(f"('{bound}', {count})" for bound, count in zip(bounds, counts, strict=True))
    ask = (
        f"SELECT histogramQuantile(arrayMap(x -> toFloat64(x), groupArray(le)), groupArray(n), {q})"
        f" FROM values('le String, n Float64', {rows})"
    )
    session.query(create)
    answer = float(str(session.query(ask, "TSV")))
    assert answer == pytest.approx(expected, nan_ok=True)
