"""Arrows fall: a file imports only from floors below its own, and what is heavy only where it is used."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "attune_monitoring"

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "records", "redaction", "semconv", "yamlfile"}),
    frozenset(
        {"exchange", "figures", "mapping", "metrics", "pricing", "query", "responses", "schema", "store", "streams"}
    ),
    frozenset({"alerts", "cache_savings", "config", "files", "grouping", "rollup", "runs", "run_tree", "scope"}),
    frozenset(
        {
            "content",
            "delivery",
            "history",
            "signoz",
            "spans",
            "telemetry_backend",
            "otel_backend",
            "sampling",
            "following",
        }
    ),
    frozenset({"analytics", "calls", "leaving", "otlp", "multi_backend", "sources"}),
    frozenset({"wrapping", "recorder"}),
    frozenset({"budgets", "exporters", "handed_in", "importers", "instruments"}),
    frozenset({"instrumentation", "running"}),
    frozenset({"observation"}),
    frozenset({"official"}),
    frozenset({"providers"}),
    frozenset({"__init__", "testing"}),
    frozenset({"pytest_plugin", "cli"}),
)
"""From the ground up. A room is a file or a folder; the files of a folder import one another, but in no circle."""

SDK_IMPORTERS = {
    "delivery",
    "exporters",
    "otlp",
    "providers",
    "running",
    "sampling",
    "sources.in_process",
    "testing",
}
"""The only files that import the OpenTelemetry SDK (at run time or for types) or its exporters."""

INSTRUMENTATION = ("instrumentation", "instruments", "wrapping", "calls", "scope", "spans", "streams")
"""What instrumented code runs through: OpenTelemetry's API only, and nothing that knows files or configuration."""

LAZY_THIRD_PARTY = (
    "opentelemetry.exporter.",
    "opentelemetry.sdk.metrics",
    "apprise",
    "duckdb",
    "email",
    "genai_prices",
    "grpc",
    "requests",
    "rich",
    "smtplib",
    "ssl",
    "yaml",
)
"""Heavy or optional: imported by the function that needs it."""

LAZY_INTERNAL = {"__init__", "pytest_plugin"}
"""Where our own files are imported inside functions: the lazy face, and what pytest imports in every run."""

BY_NAME = {"__init__", "cli.lazy", "cli", "content", "observation", "providers", "running"}
"""Where modules are imported by a name that is a value: the face, commands, a user's mask, clients, OTel's globals."""

LONGER_THAN_400_LINES = {"calls", "pricing.cost", "recorder", "records"}

TESTED_BY = {
    "__init__": "test_architecture.py",
    "alerts": "test_alerts_rule.py",
    "budgets": "test_budgets.py",
    "content": "test_calls.py",
    "errors": "test_config.py",
    "exchange": "test_sources_signoz.py",
    "following": "e2e/test_real_clients.py",
    "grouping": "test_history.py",
    "handed_in": "test_providers.py",
    "instruments": "test_instrumentation.py",
    "observation": "e2e/test_real_clients.py",
    "official": "e2e/test_real_clients.py",
    "otlp": "test_exporters.py",
    "pytest_plugin": "test_testing.py",
    "running": "test_providers.py",
    "wrapping": "test_isolation.py",
}
"""Rooms without a test file of their own name, and the file that tests them."""


class Import(NamedTuple):
    target: str
    """A file of ours (dotted, below the package) or a third party's module."""
    ours: bool
    in_function: bool
    for_types: bool
    line: int


@cache
def sources() -> dict[str, Path]:
    """Every file by its dotted name below the package; a folder by its `__init__.py`."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(parts if len(parts) == 1 else [part for part in parts if part != "__init__"])] = path
    return found


def room(name: str) -> str:
    return name.split(".")[0]


@cache
def imports(name: str) -> tuple[Import, ...]:
    path = sources()[name]
    return tuple(_imports(ast.parse(path.read_text(encoding="utf-8")), name, path, False, False))


def _imports(node: ast.AST, name: str, path: Path, in_function: bool, for_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        function = in_function or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        types = for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test))
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, False, in_function, for_types, child.lineno)
        elif isinstance(child, ast.ImportFrom):
            for target, ours in _targets(child, name, path):
                yield Import(target, ours, in_function, for_types, child.lineno)
        yield from _imports(child, name, path, function, types)


def _targets(node: ast.ImportFrom, name: str, path: Path) -> Iterator[tuple[str, bool]]:
    module = node.module.split(".") if node.module else []
    if node.level:
        package = [] if room(name) == "__init__" else name.split(".")
        if path.name != "__init__.py":
            package = package[:-1]
        base = [*package[: len(package) - node.level + 1], *module]
    elif module[0] == SOURCE.name:
        base = module[1:]
    else:
        yield ".".join(module), False
        return
    for alias in node.names:
        inside = ".".join([*base, alias.name])
        yield (inside if inside in sources() else ".".join(base) or "__init__"), True


def floor_of(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS, 1) if room(name) in rooms)


every_file = pytest.mark.parametrize("name", sources())


def test_every_room_has_one_floor_and_every_floor_only_rooms_that_are_there():
    rooms = [one for floor in FLOORS for one in floor]
    assert sorted(rooms) == sorted({room(name) for name in sources()})


@every_file
def test_a_file_imports_only_from_floors_below_its_own(name):
    rising = [
        f"line {one.line}: {name} (floor {floor_of(name)}) imports {one.target} (floor {floor_of(one.target)})"
        for one in imports(name)
        if one.ours and room(one.target) != room(name) and floor_of(one.target) >= floor_of(name)
    ]
    assert rising == []


def test_no_file_imports_itself_by_way_of_others():
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " → ".join([*above[above.index(name) :], name])
        if name in done:
            return
        for one in imports(name):
            if one.ours and not one.for_types and not one.in_function:
                visit(one.target, (*above, name))
        done.add(name)

    for name in sources():
        visit(name, ())
    assert done == sources().keys()


@every_file
def test_imports_inside_functions_are_of_heavy_third_parties_only(name):
    inside = [one for one in imports(name) if one.in_function]
    assert [
        f"line {one.line}: {one.target}"
        for one in inside
        if (name not in LAZY_INTERNAL if one.ours else not one.target.startswith(LAZY_THIRD_PARTY))
    ] == []


@every_file
def test_imports_by_name_are_where_they_have_a_reason(name):
    used = "import_module(" in sources()[name].read_text(encoding="utf-8")
    assert not used or name in BY_NAME


def test_only_the_seams_import_the_sdk_and_its_exporters():
    found = {
        name
        for name in sources()
        for one in imports(name)
        if one.target.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))
    }
    assert found == SDK_IMPORTERS


def _reached_from(name: str, seen: set[str]) -> set[str]:
    if name not in seen:
        seen.add(name)
        for one in imports(name):
            if one.ours:
                _reached_from(one.target, seen)
    return seen


@pytest.mark.parametrize("name", INSTRUMENTATION)
def test_instrumented_code_reaches_neither_configuration_nor_files_nor_the_sdk(name):
    reached = {room(one) for one in _reached_from(name, set())}
    assert reached.isdisjoint({"config", "schema", "store", "files", "content", "cli"} | SDK_IMPORTERS)


def test_nothing_imports_the_command_line():
    importers = {name for name in sources() for one in imports(name) if one.ours and room(one.target) == "cli"}
    assert {room(name) for name in importers} <= {"cli"}


@every_file
def test_a_file_says_its_one_job_in_the_first_line_of_its_docstring(name):
    text = ast.get_docstring(ast.parse(sources()[name].read_text(encoding="utf-8")), clean=False)
    assert text is not None
    first = text.splitlines()[0]
    assert len(first) > 15
    assert first.rstrip().endswith(".")


def test_files_are_not_longer_than_400_lines_but_for_those_that_are_named():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in sources().items()}
    assert {name for name, length in lengths.items() if length > 400} == LONGER_THAN_400_LINES


def test_every_room_has_tests():
    rooms = {room(name) for name in sources()}
    without = {one for one in rooms if not (TESTS / f"test_{one}.py").exists()}
    assert without - TESTED_BY.keys() == set()
    assert [file for file in TESTED_BY.values() if not (TESTS / file).exists()] == []


MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|tmp|root|home|Users|private|opt)/\w")


@every_file
def test_no_path_of_a_machine_is_written_into_a_file(name):
    assert MACHINE_PATH.findall(sources()[name].read_text(encoding="utf-8")) == []


def _modules_after(statement: str) -> set[str]:
    """What a statement imports in a fresh interpreter."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_imports_no_third_party():
    top = {module.split(".")[0] for module in _modules_after("import attune_monitoring")}
    assert top - sys.stdlib_module_names == {"attune_monitoring"}


@pytest.mark.parametrize("name", ["instrumentation", "records", "store", "config", "cli"])
def test_importing_what_needs_no_sdk_imports_none_and_no_http_client(name):
    found = _modules_after(f"import attune_monitoring.{name}")
    assert f"attune_monitoring.{name}" in found
    assert {one for one in found if one.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "grpc"))} == set()
    assert found.isdisjoint({"requests", "httpx", "openai", "anthropic", "genai_prices"})


def test_the_face_names_exactly_what_its_homes_define():
    import attune_monitoring

    for name in attune_monitoring.__all__:
        assert getattr(attune_monitoring, name) is not None
    assert dir(attune_monitoring) == sorted(attune_monitoring.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing_of_ours'"):
        _ = attune_monitoring.nothing_of_ours
