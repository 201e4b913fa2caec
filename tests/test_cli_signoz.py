"""`empathy signoz`: provisioning as it is typed, and the local stack with a small program that stands for docker."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from attune_monitoring.cli import main
from harness import Finished
from otlp_receiver import closed_port
from signoz_server import EMAIL, PASSWORD, SigNoz, serve

pytestmark = pytest.mark.slow  # programs and servers of their own

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
SECRETS = {
    "SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T0/B0/slacksecret",
    "ONCALL_WEBHOOK_URL": "https://oncall.example/hook/oncallsecret",
    "ONCALL_TOKEN": "tokensecret",
}
ALERTS = """\
channels:
  chat: {type: slack, url: "${SLACK_WEBHOOK_URL}"}
defaults: {actions: [chat]}
alerts:
  - {name: spend, when: cost.sum("1h") > 5}
  - {name: odd, when: anomaly(cost)}
"""

MAIN = "from attune_monitoring.cli import main; main()"
Empathy = Callable[..., Finished]

posix = pytest.mark.skipif(os.name == "nt", reason="the program that stands for docker is a script")


def call(cwd: Path, *arguments: object, **environment: str) -> Finished:
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def empathy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Empathy:
    """Runs `empathy signoz` in a project with two alert rules; keywords are environment variables."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "alerts.yaml").write_text(ALERTS, "utf-8")
    monkeypatch.chdir(tmp_path)
    for name in [one for one in os.environ if one.startswith(("SIGNOZ_", "ONCALL_")) or one == "COLUMNS"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLACK_WEBHOOK_URL", SECRETS["SLACK_WEBHOOK_URL"])

    def run(*arguments: object, **environment: str) -> Finished:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO())
            for name, text in environment.items():
                patch.setenv(name, text)
            with pytest.raises(SystemExit) as exit_:
                main(["signoz", *map(str, arguments)])
        out, err = capfd.readouterr()
        return Finished(int(exit_.value.code or 0), out, err)

    return run


@pytest.fixture
def empathy_in_a_process(tmp_path: Path) -> Empathy:
    """Runs it as a program of its own."""
    return lambda *arguments, **environment: call(tmp_path, "signoz", *arguments, **environment)


@pytest.fixture
def server() -> Iterator[SigNoz]:
    with serve(SigNoz()) as one:
        yield one


@pytest.fixture
def login() -> Iterator[SigNoz]:
    with serve(SigNoz(login=True)) as one:
        yield one


# --- provision


def test_everything_is_created_and_counted(empathy, server):
    done = empathy("provision", "--url", server.url)
    assert done.status == 0, done
    assert "1 channel, 5 dashboards, 1 rule: 7 created." in done.out
    assert "rule odd stays out, SigNoz cannot express it" in done.err


def test_a_second_time_nothing_is_written(empathy, server):
    empathy("provision", "--url", server.url)
    server.requests.clear()
    done = empathy("provision", SIGNOZ_URL=server.url)
    assert (done.status, server.writes) == (0, [])
    assert "7 unchanged" in done.out


def test_a_check_writes_nothing_and_tells_what_is_missing(empathy, server):
    done = empathy("provision", "--check", "--url", server.url)
    assert (done.status, server.writes) == (1, [])
    assert "7 missing" in done.out


def test_a_check_of_what_is_as_it_should_be_is_fine(empathy, server):
    empathy("provision", "--url", server.url)
    assert empathy("provision", "--check", "--url", server.url).status == 0


def test_a_check_shows_what_differs(empathy, server):
    empathy("provision", "--url", server.url)
    server.dashboard("attune-cost")["spec"]["display"]["name"] = "Mine"
    done = empathy("provision", "--check", "--url", server.url)
    assert done.status == 1
    assert re.search(r'attune-cost +differs\n    spec.display.name: "Mine" → "', done.out)


def test_what_somebody_else_made_is_left_alone_and_told(empathy, server):
    empathy("provision", "--url", server.url)
    server.dashboard("attune-cost")["tags"] = []
    done = empathy("provision", "--url", server.url)
    assert done.status == 0
    assert re.search(r"attune-cost +left alone\n    another dashboard has this name", done.out)


def test_json_holds_every_change(empathy, server):
    empathy("provision", "--url", server.url)
    server.dashboard("attune-cost")["spec"]["display"]["name"] = "Mine"
    answer = json.loads(empathy("provision", "--url", server.url, "--format", "json").out)
    states = {(one["kind"], one["name"]): one["state"] for one in answer["data"]["changes"]}
    assert states["dashboard", "attune-cost"] == "updated"
    assert {state for name, state in states.items() if name[1] != "attune-cost"} == {"unchanged"}
    assert answer["data"]["url"] == server.url


def test_the_bundled_rules_are_taken_where_there_are_none(empathy, server, tmp_path):
    (tmp_path / "alerts.yaml").unlink()
    done = empathy("provision", "--url", server.url)
    assert "8 rules" in done.out
    assert "Rules of the bundled example." in done.out


def test_with_a_login_a_key_is_made_that_does_instead_of_it(empathy, login, tmp_path):
    done = empathy("provision", "--url", login.url, "--email", EMAIL, SIGNOZ_PASSWORD=PASSWORD)
    file = tmp_path / ".empathy" / "signoz.key"
    assert (done.status, stat.S_IMODE(file.stat().st_mode)) == (0, 0o600)
    assert str(file) in done.err
    assert empathy("provision", "--check", "--url", login.url, SIGNOZ_API_KEY=file.read_text().strip()).status == 0


def test_the_kept_key_is_used_for_the_configured_server_alone(empathy, login, tmp_path):
    empathy("provision", SIGNOZ_URL=login.url, SIGNOZ_EMAIL=EMAIL, SIGNOZ_PASSWORD=PASSWORD)
    assert empathy("provision", "--check", SIGNOZ_URL=login.url).status == 0
    assert "asks for a login" in empathy("provision", "--check", "--url", login.url).err
    file = tmp_path / ".empathy" / "signoz.key"
    assert empathy("provision", "--check", "--url", login.url, "--key-file", file).status == 0
    assert empathy("provision", "--check", "--url", login.url, SIGNOZ_API_KEY_FILE=str(file)).status == 0


def test_the_kept_key_stays_out_of_git(empathy, login, tmp_path):
    empathy("provision", "--url", login.url, "--email", EMAIL, SIGNOZ_PASSWORD=PASSWORD)
    assert (tmp_path / ".empathy" / ".gitignore").read_text() == "*\n"


def test_a_folder_that_the_user_names_for_the_key_is_left_as_it_is(empathy, login, tmp_path):
    file = tmp_path / "keys" / "signoz"
    empathy("provision", "--url", login.url, "--email", EMAIL, "--key-file", file, SIGNOZ_PASSWORD=PASSWORD)
    assert [*file.parent.iterdir()] == [file]


def test_no_key_is_made_where_none_is_wanted(empathy, login):
    empathy("provision", "--url", login.url, "--email", EMAIL, "--no-key", SIGNOZ_PASSWORD=PASSWORD)
    assert (login.keys, len(login.rules)) == ({}, 1)


@posix
def test_a_terminal_is_asked_for_the_password(tmp_path, login):
    import pty
    import termios

    ours, theirs = pty.openpty()
    try:
        program = subprocess.Popen(
            [sys.executable, "-c", MAIN, "signoz", "provision", "--url", login.url, "--email", EMAIL],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "EMPATHY_STORAGE_DIR": str(tmp_path)},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        while program.poll() is None and termios.tcgetattr(theirs)[3] & termios.ECHO:
            pass  # what is typed before the question is thrown away
        os.write(ours, f"{PASSWORD}\n".encode())
        out, err = program.communicate(timeout=120)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (program.returncode, len(login.rules)) == (0, 8), err
    assert f"Password of {EMAIL}" in err
    assert PASSWORD not in out + err


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (
            ("--email", EMAIL),
            {"SIGNOZ_PASSWORD": "hunter2hunter2"},
            f"refuses the email address {EMAIL} or its password",
        ),
        (("--email", "x@y.example"), {"SIGNOZ_PASSWORD": PASSWORD}, "knows no user x@y.example"),
        (("--email", EMAIL), {}, "no password for"),
        ((), {}, "asks for a login; set SIGNOZ_EMAIL and SIGNOZ_PASSWORD, or SIGNOZ_API_KEY"),
        ((), {"SIGNOZ_API_KEY": "k" * 30}, "refuses the key"),
    ],
)
def test_wrong_credentials_say_what_to_set(empathy, login, arguments, environment, says):
    done = empathy("provision", "--url", login.url, *arguments, **environment)
    assert (done.status, done.out, login.writes) == (1, "", [])
    assert says in done.err


@pytest.mark.parametrize(
    ("age", "says"),
    [
        ("old", "older than v0.135.0"),
        ("older", "older than v0.135.0"),
        ("other", "is this the address of SigNoz"),
    ],
)
def test_a_server_that_is_too_old_or_something_else_is_told(empathy, age, says):
    with serve(SigNoz(age=age)) as server:
        done = empathy("provision", "--url", server.url)
    assert (done.status, says in done.err) == (1, True), done.err


def test_a_server_that_cannot_be_reached_is_told_after_the_time_one_waits(empathy):
    with closed_port() as url:
        done = empathy("provision", "--url", url, "--timeout", "0")
    assert (done.status, "is it running, and is this its address?" in done.err) == (1, True), done.err


def test_one_waits_for_a_server_that_starts_and_says_so(empathy, server):
    server.unready = 1
    done = empathy("provision", "--url", server.url)
    assert (done.status, "s (HTTP 503)" in done.err) == (0, True), done.err
    assert done.err.startswith(f"Waiting for SigNoz at {server.url}, ")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("--url", "localhost"), 1),
        (("--alerts", "nowhere.yaml"), 2),
        (("--tz", "Mars/Olympus"), 2),
        (("--tz", "local"), 2),
    ],
)
def test_a_wrong_argument_is_told(empathy, arguments, status):
    assert empathy("provision", *arguments).status == status


def test_no_secret_is_ever_in_the_output(empathy, login, tmp_path):
    url = ("--url", login.url)
    with_login = {**SECRETS, "SIGNOZ_EMAIL": EMAIL, "SIGNOZ_PASSWORD": PASSWORD}
    (tmp_path / "alerts.yaml").write_text((ROOT / "docs/examples/alerts.yaml").read_text("utf-8"), "utf-8")
    said = [empathy("provision", "--check", *url, **with_login), empathy("provision", *url, **with_login)]
    for kept in login.channels.values():
        kept["data"] = kept["data"].replace("secret", "old")
    said.append(empathy("provision", "--check", *url, **with_login))
    said.append(empathy("provision", *url, "--format", "json", **with_login))
    said.append(empathy("provision", *url, **{**with_login, "SIGNOZ_PASSWORD": "hunter2hunter2"}))
    login.keys.clear()
    said.append(empathy("provision", *url, **with_login))
    said.append(empathy("provision", *url, SIGNOZ_API_KEY="kkkkkkkkkkkkkkkkkkkk"))
    login.age = "old"
    said.append(empathy("provision", *url, **with_login))
    key = (tmp_path / ".empathy" / "signoz.key").read_text().strip()
    secrets = {"slacksecret", "oncallsecret", "tokensecret", PASSWORD, "hunter2hunter2", "k" * 20, key, *login.tokens}
    everything = "".join(one.out + one.err for one in said)
    assert [one.status for one in said] == [1, 0, 1, 0, 1, 1, 1, 1], everything
    assert {secret for secret in secrets if secret in everything} == set()


# --- the local stack

DOCKER = '''\
#!{python}
"""Stands for docker: notes what it is told, and says what the test has put beside it."""
import json, os, sys
from pathlib import Path

here, said = Path(__file__).parent, sys.argv[1:]
with (here / "log").open("a") as log:
    log.write(json.dumps({{"said": said, "cwd": os.getcwd()}}) + "\\n")
mode = (here / "mode").read_text() if (here / "mode").exists() else ""
words = [word for word in said if not word.startswith("-")]
if said[:2] == ["compose", "version"]:
    sys.exit("docker: unknown command: docker compose" if mode == "no compose" else 0)
if said[0] == "version":
    if mode == "no daemon":
        sys.exit("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    print("28.2.2")
elif "up" in said:
    if mode == "refuses":
        sys.exit("error: required variable SIGNOZ_ADMIN_EMAIL is missing a value: set it in .env, see .env.example")
    print("Container attune-monitoring-signoz-1  Healthy")
elif "port" in said:
    if not (here / "port").exists():
        sys.exit("no container found for project")
    print((here / "port").read_text())
elif "ps" in said:
    print((here / "ps").read_text() if (here / "ps").exists() else "")
'''


class Docker:
    """The program that stands for docker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        program = folder / "docker"
        program.write_text(DOCKER.format(python=sys.executable), "utf-8")
        program.chmod(0o755)

    @property
    def path(self) -> str:
        """The PATH on which it comes first."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def says(self, what: str, text: str) -> None:
        (self.folder / what).write_text(text, "utf-8")

    def asked(self, word: str) -> list[str]:
        """Return the only command that holds a word, without `compose`."""
        lines = (self.folder / "log").read_text("utf-8").splitlines()
        [found] = [one["said"] for one in map(json.loads, lines) if word in one["said"]]
        assert found[0] == "compose"
        return list(found[1:])

    def was_asked(self, word: str) -> bool:
        log = self.folder / "log"
        return log.exists() and any(word in json.loads(line)["said"] for line in log.read_text("utf-8").splitlines())


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    return Docker(tmp_path / "bin")


def container(service: str, state: str = "running", health: str = "healthy", **more: Any) -> dict[str, Any]:
    return {"Service": service, "State": state, "Health": health, "ExitCode": 0, "Publishers": None, **more}


PORTS = [
    {"URL": "127.0.0.1", "TargetPort": 8080, "PublishedPort": 8080, "Protocol": "tcp"},
    {"URL": "", "TargetPort": 9000, "PublishedPort": 0, "Protocol": "tcp"},
]
WELL = [
    container("signoz", Publishers=PORTS),
    container("clickhouse"),
    container("provision", "exited", ""),
]


def value(arguments: list[str], option: str) -> list[str]:
    return [arguments[place + 1] for place, one in enumerate(arguments) if one == option]


@posix
def test_up_starts_the_stack_of_this_clone_and_says_where_to_look(empathy, docker):
    docker.says("port", "127.0.0.1:9999")
    done = empathy("up", PATH=docker.path)
    assert done.status == 0, done
    asked = docker.asked("up")
    assert value(asked, "--project-directory") == [str(ROOT)]
    assert value(asked, "--file") == [str(ROOT / "docker-compose.yml")]
    assert asked[asked.index("up") :] == ["up", "--detach", "--build", "--wait", "--wait-timeout", "600"]
    assert "SigNoz: http://localhost:9999" in done.out
    assert "Healthy" in done.err  # what docker says is no data of ours


@posix
def test_up_passes_on_login_profiles_and_not_to_wait(empathy, docker):
    empathy("up", "--login", "--profile", "demo", "--profile", "alerts", "--no-wait", PATH=docker.path)
    asked = docker.asked("up")
    assert [Path(one).name for one in value(asked, "--file")] == ["docker-compose.yml", "docker-compose.login.yml"]
    assert value(asked, "--profile") == ["demo", "alerts"]
    assert "--wait" not in asked


@posix
def test_up_says_where_credentials_belong_when_docker_refuses(empathy, docker):
    docker.says("mode", "refuses")
    done = empathy("up", "--login", PATH=docker.path)
    assert done.status == 1
    assert "SIGNOZ_ADMIN_EMAIL is missing" in done.err
    assert f"Credentials for --login stand in {ROOT / '.env'}" in done.err


@posix
def test_up_tells_which_service_does_not_work(empathy, docker):
    docker.says("ps", json.dumps([WELL[0], container("provision", "exited", "", ExitCode=1)]))
    done = empathy("up", PATH=docker.path)
    assert (done.status, done.out) == (1, "")
    assert "it runs, but not all of it: provision. Why: docker compose" in done.err


@posix
@pytest.mark.parametrize("command", ["up", "down", "status"])
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("no compose", "docker has no `compose`; install its plugin"),
        ("no daemon", "Docker does not run; start Docker Desktop or the docker service"),
    ],
)
def test_a_docker_that_cannot_be_used_says_what_to_do(empathy, docker, command, mode, says):
    docker.says("mode", mode)
    done = empathy(command, PATH=docker.path)
    assert (done.status, says in done.err) == (1, True), done.err


@pytest.mark.parametrize("command", ["up", "down", "status"])
def test_without_docker_one_is_told_how_to_get_it(empathy, tmp_path, command):
    done = empathy(command, PATH=str(tmp_path))
    assert (done.status, "docker is not installed, or not on the PATH; see https://docs.docker.com" in done.err) == (
        1,
        True,
    )


@posix
def test_down_keeps_what_is_stored(empathy, docker):
    done = empathy("down", PATH=docker.path)
    assert (done.status, "--volumes" in docker.asked("down")) == (0, False)
    assert value(docker.asked("down"), "--profile") == ["demo", "alerts"]
    assert "is kept" in done.out


@posix
def test_down_does_not_delete_what_is_stored_without_a_yes(empathy, docker):
    done = empathy("down", "--volumes", PATH=docker.path)
    assert (done.status, docker.was_asked("down")) == (1, False)


@posix
def test_down_deletes_what_is_stored_after_a_yes(empathy, docker):
    done = empathy("down", "--volumes", "--yes", PATH=docker.path)
    assert (done.status, "--volumes" in docker.asked("down")) == (0, True)


@posix
@pytest.mark.parametrize("shape", ["a list", "an object a line"])
def test_status_shows_services_and_what_is_provisioned(empathy, docker, server, shape):
    empathy("provision", "--url", server.url)
    docker.says("ps", json.dumps(WELL) if shape == "a list" else "\n".join(map(json.dumps, WELL)))
    docker.says("port", server.url.removeprefix("http://"))
    done = empathy("status", PATH=docker.path)
    assert done.status == 0, done
    assert re.search(r"signoz +running +healthy +127\.0\.0\.1:8080\n", done.out)
    assert re.search(r"provision +exited \(0\)", done.out)
    assert "Provisioned as here: 1 of 1 channel, 5 of 5 dashboards, 1 of 1 rule." in done.out


@posix
@pytest.mark.parametrize(
    "wrong",
    [
        container("clickhouse", health="unhealthy"),
        container("provision", "exited", "", ExitCode=1),
        container("signoz", "restarting", ""),
    ],
)
def test_status_fails_where_a_service_does_not_work(empathy, docker, server, wrong):
    empathy("provision", "--url", server.url)
    docker.says("ps", "\n".join(map(json.dumps, [WELL[0], wrong])))
    docker.says("port", server.url.removeprefix("http://"))
    assert empathy("status", PATH=docker.path).status == 1


@posix
def test_status_in_json_counts_what_is_there(empathy, docker, server):
    docker.says("ps", json.dumps(WELL))
    docker.says("port", server.url.removeprefix("http://"))
    done = empathy("status", "--format", "json", PATH=docker.path)
    data = json.loads(done.out)["data"]
    assert (done.status, data["provisioned"]["dashboard"]) == (1, {"wanted": 5, "there": 0})
    assert [one["works"] for one in data["services"]] == [True, True, True]


@posix
def test_status_tells_why_it_cannot_see_what_is_provisioned(empathy, docker, login):
    docker.says("ps", json.dumps(WELL))
    docker.says("port", login.url.removeprefix("http://"))
    done = empathy("status", PATH=docker.path)
    assert done.status == 1
    assert "What is provisioned is not known" in done.out
    assert "asks for a login" in " ".join(done.out.split())


@posix
def test_status_of_a_stack_that_does_not_run_says_how_to_start_it(empathy, docker):
    done = empathy("status", PATH=docker.path)
    assert (done.status, "does not run. To start it: empathy signoz up" in done.out) == (1, True)


@posix
@pytest.mark.parametrize("said", ["no json", '{"Name": "x"}', "7"])
def test_status_tells_when_docker_answers_otherwise(empathy, docker, said):
    docker.says("ps", said)
    done = empathy("status", PATH=docker.path)
    assert (done.status, "answers in another way than expected" in done.err) == (1, True), done


@posix
def test_open_opens_the_browser_where_the_stack_is(empathy_in_a_process, docker, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    docker.says("port", "127.0.0.1:9999")
    done = empathy_in_a_process("open", PATH=docker.path, BROWSER=f"{browser} %s")
    assert (done.status, done.out) == (0, "http://localhost:9999\n")
    assert (tmp_path / "opened").read_text() == "http://localhost:9999\n"


def test_open_says_the_address_where_there_is_no_browser(empathy_in_a_process, tmp_path):
    done = empathy_in_a_process("open", "--url", "https://signoz.example", PATH=str(tmp_path))
    assert (done.status, done.out) == (0, "https://signoz.example\n")
    assert "No browser was found" in done.err


def test_open_refuses_what_is_no_address(empathy):
    assert empathy("open", "--url", "file:///etc/passwd").status == 1


# --- the wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, installed into a folder of its own."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(wheel)], check=True, capture_output=True)
    return folder / "site"


def _up(installed: Path, tmp_path: Path, docker: Docker) -> Path:
    (docker.folder / "log").unlink(missing_ok=True)
    environment = {"PYTHONPATH": str(installed), "PATH": docker.path, "XDG_DATA_HOME": str(tmp_path / "data")}
    done = call(tmp_path, "signoz", "up", **environment)
    assert done.status == 0, done
    [folder] = value(docker.asked("up"), "--project-directory")
    return Path(folder)


@posix
@pytest.mark.slow
def test_up_from_a_wheel_gives_docker_files_that_are_complete(installed, tmp_path, docker):
    folder = _up(installed, tmp_path, docker)
    assert folder == tmp_path / "data" / "attune-monitoring" / "stack"
    for name in ("docker-compose.yml", "docker-compose.login.yml"):
        services = yaml.safe_load((folder / name).read_text("utf-8"))["services"]
        assert [one for one in _relative(services) if not (folder / one).is_file()] == []
    dockerfile = (folder / "Dockerfile").read_text("utf-8")
    copied = [one for one in re.findall(r"^COPY ([^\s-]\S*)", dockerfile, re.MULTILINE) if one != "."]
    assert copied
    assert [one for one in copied if not (folder / one).is_file()] == []
    assert (folder / ".env.example").is_file()


def _relative(services: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files of the folder that services mount."""
    for service in services.values():
        for mount in service.get("volumes", ()):
            source = mount["source"] if isinstance(mount, dict) else mount.split(":")[0]
            source = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", source)
            if source.startswith("."):
                yield source


@posix
@pytest.mark.slow
def test_up_from_a_wheel_builds_the_image_from_the_release(installed, tmp_path, docker):
    text = (_up(installed, tmp_path, docker) / "docker-compose.yml").read_text("utf-8")
    assert f"ATTUNE_PACKAGE: ${{ATTUNE_PACKAGE:-attune-monitoring=={VERSION}}}" in text
    assert "ATTUNE_PACKAGE:-.}" not in text


@posix
@pytest.mark.slow
def test_settings_that_were_put_beside_the_files_stay(installed, tmp_path, docker):
    folder = _up(installed, tmp_path, docker)
    (folder / ".env").write_text("SIGNOZ_PORT=8081\n")
    (folder / "collector" / "signoz.yaml").write_text("old")
    assert _up(installed, tmp_path, docker) == folder
    assert (folder / ".env").read_text() == "SIGNOZ_PORT=8081\n"
    assert (folder / "collector" / "signoz.yaml").read_text("utf-8") == (ROOT / "collector/signoz.yaml").read_text(
        "utf-8"
    )


@posix
@pytest.mark.slow
def test_containers_may_read_the_copied_files(installed, tmp_path, docker):
    folder = _up(installed, tmp_path, docker)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.rglob("*") if file.is_file()} == {0o644}


def test_a_source_distribution_carries_what_the_wheel_is_made_of():
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    carried = hatch["sdist"]["include"]
    forced = hatch["wheel"]["force-include"]
    assert [name for name in forced if name.split("/")[0] not in carried] == []


def test_the_image_can_be_built_from_what_docker_is_given():
    given = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    forced = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert [name for name in forced["force-include"] if name not in given] == []


def test_help_of_every_command_needs_no_docker(empathy, tmp_path):
    assert shutil.which("docker", path=str(tmp_path)) is None
    for command in ("up", "down", "status", "open", "provision"):
        assert empathy(command, "--help", PATH=str(tmp_path)).status == 0
