"""The tool that asks a server for every panel: what it posts is what SigNoz takes, and nothing empty passes."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from attune_monitoring.errors import SourceError
from attune_monitoring.signoz import dashboards
from attune_monitoring.signoz.panel import envelopes_of
from attune_monitoring.signoz.queries import Envelope
from otlp_receiver import closed_port
from signoz_server import SCHEMAS, SigNoz, serve

pytestmark = pytest.mark.slow  # programs and servers of their own

TOOL = runpy.run_path(str(Path(__file__).parent.parent / "tools" / "query_panels.py"))
COUNT = sum(len(board.spec.panels) for board in dashboards())
RESERVED = {f"{edge}_timestamp{unit}" for edge in ("start", "end") for unit in ("", "_ms", "_nano")} | {
    "start_datetime", "end_datetime",
}  # fmt: skip
Answering = Callable[[dict[str, Any]], tuple[int, Any]]


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    value: str


class _Composite(msgspec.Struct, forbid_unknown_fields=True):
    queries: list[Envelope]


class _Question(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    schema_version: str
    start: int
    end: int
    request_type: str
    composite_query: _Composite
    variables: dict[str, _Item]
    no_cache: bool


class Panels(SigNoz):
    """The strict stand-in, with the query API; `answering` says what it finds."""

    def __init__(self, answering: Answering) -> None:
        super().__init__()
        self.answering = answering
        self.keys_seen: set[str | None] = set()

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any] | None:
        if (method, target) != ("POST", "/api/v5/query_range"):
            return super().answer(method, target, headers, body)
        self.keys_seen.add(headers.get("SIGNOZ-API-KEY"))
        asked = json.loads(body)
        problem = _problem(asked, body)
        return (400, {"status": "error", "error": {"message": problem}}) if problem else self.answering(asked)


def _problem(asked: dict[str, Any], body: bytes) -> str:
    """What SigNoz would say against a question: to its schema, to our strict types, to its variables and its range."""
    schema = SCHEMAS / "query-range-v5.schema.json"
    if schema.is_file():
        for error in jsonschema.Draft202012Validator(json.loads(schema.read_text("utf-8"))).iter_errors(asked):
            return f"{error.json_path}: {error.message}"
    try:
        question = msgspec.json.decode(body, type=_Question)
    except msgspec.ValidationError as error:
        return str(error)
    used = {name for query in asked["compositeQuery"]["queries"] for name in re.findall(r"\$(\w+)", json.dumps(query))}
    unknown = used - RESERVED - question.variables.keys()
    if unknown:
        return f"unknown variables: {', '.join(sorted(unknown))}"
    return "" if 0 < question.start < question.end else "the range is empty"


def found(kind: str, value: float | None = 1.5, **point: Any) -> dict[str, Any]:
    """What one query of that kind finds."""
    if kind == "raw":
        return {"rows": [{"timestamp": "2026-03-04T12:00:00Z", "data": {"name": "chat"}}]}
    if kind == "scalar":
        columns = [{"name": "model", "columnType": "group"}, {"name": "__result_0", "columnType": "aggregation"}]
        return {"columns": columns, "data": [["gpt-5", value]]}
    series = {"labels": [], "values": [{"timestamp": 1_772_625_600_000, "value": value, **point}]}
    return {"aggregations": [{"index": 0, "series": [series]}]}


def nothing(kind: str) -> dict[str, Any]:
    return {"raw": {"rows": None}, "scalar": {"columns": [], "data": None}}.get(kind, {"aggregations": None})


def answered(*results: dict[str, Any]) -> tuple[int, Any]:
    return 200, {"status": "success", "data": {"type": "", "data": {"results": list(results)}, "meta": {}}}


def everything(asked: dict[str, Any]) -> tuple[int, Any]:
    return answered(found(asked["requestType"]))


@pytest.fixture
def server() -> Iterator[Panels]:
    with serve(Panels(everything)) as one:
        assert isinstance(one, Panels)
        yield one


@pytest.fixture
def ask(server: Panels, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("SIGNOZ_URL", server.url)

    def run(*arguments: str, pause: Callable[[float], object] = lambda _: None) -> tuple[int, str]:
        status = TOOL["main"](arguments, pause=pause)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def test_every_panel_of_every_dashboard_is_asked_and_shows_something(ask):
    assert ask() == (0, f"{COUNT} panels, {COUNT} show something\n")


def test_the_key_is_sent(ask, server, monkeypatch):
    monkeypatch.setenv("SIGNOZ_API_KEY", "a-key")
    ask()
    assert server.keys_seen == {"a-key"}


def of_tokens(asked: dict[str, Any]) -> bool:
    return "attune.llm.tokens" in json.dumps(asked)


def names(text: str) -> set[str]:
    return {line.split(": ")[0] for line in text.splitlines() if " / " in line}


WITH_TOKENS = {
    f"{board.name} / {key}"
    for board in dashboards()
    for key, panel in board.spec.panels.items()
    if of_tokens(msgspec.to_builtins(envelopes_of(panel)))
}


def test_a_panel_that_is_refused_is_named_with_the_reason(ask, server):
    refusal = 400, {"status": "error", "error": {"message": "no such column"}}
    server.answering = lambda asked: refusal if of_tokens(asked) else everything(asked)
    status, told = ask("--wait", "60", pause=pytest.fail)  # waiting would not help
    assert (status, names(told)) == (1, WITH_TOKENS)
    assert "refuses (HTTP 400): no such column" in told


def test_a_panel_that_is_empty_is_named(ask, server):
    server.answering = lambda asked: answered(nothing(asked["requestType"])) if of_tokens(asked) else everything(asked)
    status, told = ask()
    assert (status, names(told)) == (1, WITH_TOKENS)
    assert f"{COUNT} panels, {COUNT - len(WITH_TOKENS)} show something" in told


def test_what_is_empty_is_asked_again_until_it_is_stored(ask, server):
    server.answering = lambda asked: answered(nothing(asked["requestType"]))

    def stored(_: float) -> None:
        server.answering = everything

    assert ask("--wait", "60", pause=stored)[0] == 0


def test_a_server_that_is_away_is_told_once(ask):
    with closed_port() as url:
        status, told = ask("--url", url)
    assert (status, told.count("no connection"), told.startswith("every panel: SigNoz at")) == (1, 1, True)


def test_an_address_that_is_none_is_told(ask):
    assert ask("--url", "localhost") == (
        1,
        "Error: no address of SigNoz: it starts with https:// or http:// and has a host\n",
    )


@pytest.mark.parametrize("kind", ["time_series", "scalar", "raw"])
def test_an_answer_is_empty_where_no_query_of_it_found_anything(kind):
    _, one = answered(nothing(kind), found(kind))
    _, none = answered(nothing(kind), nothing(kind))
    assert [TOOL["shows_nothing"](kind, each) for each in (one, none)] == [False, True]


@pytest.mark.parametrize("kind", ["time_series", "scalar"])
@pytest.mark.parametrize("value", [None, "NaN", float("nan")])
def test_what_is_no_number_shows_nothing(kind, value):
    assert TOOL["shows_nothing"](kind, answered(found(kind, value))[1])


def test_a_step_that_is_not_over_shows_nothing():
    assert TOOL["shows_nothing"]("time_series", answered(found("time_series", partial=True))[1])


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"data": {"data": {"results": [{}]}}}])
def test_an_answer_of_something_else_is_an_error(answer):
    with pytest.raises(SourceError, match="none of SigNoz's query API"):
        TOOL["shows_nothing"]("scalar", answer)
