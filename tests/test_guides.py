"""The guides: their commands print what they show and exist, their examples run, their links lead somewhere."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring.cli import main
from attune_monitoring.cli.demo_provider import simulated_provider
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import Captured
from markdown_blocks import anchors, blocks, links

ROOT = Path(__file__).parent.parent
TOOL = runpy.run_path(str(ROOT / "tools" / "make_guides.py"))
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *GUIDES]


def commands(page: Path) -> list[str]:
    """The commands of ours in a page's blocks of the shell, without prompt, comment and what they are piped to."""
    shown = "".join(block.text for language in ("console", "sh") for block in blocks(page, language)).split("\n")
    return sorted({line.removeprefix("$ ") for line in shown if re.match(r"(\$ )?empathy\b", line)})


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


@pytest.mark.slow
@pytest.mark.parametrize("page", TOOL["PAGES"], ids=lambda page: page.name)
def test_a_page_shows_what_its_commands_print(page: Path) -> None:
    assert TOOL["rewritten"](page) == page.read_text("utf-8")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the examples' client of OpenAI talks to, and a port for what they serve."""
    with simulated_provider() as address:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("METRICS_PORT", "0")
        yield


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in GUIDES if any(blocks(page, "python"))], ids=lambda page: page.name)
def test_the_examples_of_a_guide_run_from_top_to_bottom(page: Path, provider: None, attune_capture: Captured) -> None:
    failures = HOOKS.failures.copy()
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page, "python"):
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)
    assert HOOKS.failures == failures  # telemetry fails in silence


@pytest.mark.slow
def test_the_first_program_of_the_monitoring_guide_is_recorded(provider: None, attune_capture: Captured) -> None:
    first = next(blocks(ROOT / "docs" / "guides" / "MONITORING_GUIDE.md", "python"))
    exec(first.text, {})
    [call] = attune_capture.calls
    assert (call.workflow_name, call.task_type, call.tier) == ("support-answer", "classify", "cheap")


@pytest.mark.parametrize(
    "command", [pytest.param(command, id=f"{page.stem}: {command}") for page in PAGES for command in commands(page)]
)
def test_every_command_that_is_shown_exists_with_its_options(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(command, comments=True)
    arguments = words[1 : words.index("|")] if "|" in words else words[1:]
    with pytest.raises(SystemExit) as exit_:
        main([*arguments, "--help"])
    assert exit_.value.code in (0, None), capsys.readouterr().err


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_every_link_of_a_guide_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_guide_can_be_reached_from_the_readme() -> None:
    linked = {(ROOT / link).resolve() for link in links(ROOT / "README.md") if not link.startswith("https://")}
    assert set(GUIDES) <= linked


def test_output_that_is_not_shown_yet_is_written_below_its_command(page: Path) -> None:
    page.write_text("```console\n$ echo a; echo b\n$ echo c\n```\n", "utf-8")
    assert TOOL["rewritten"](page) == "```console\n$ echo a; echo b\na\nb\n$ echo c\nc\n```\n"


def test_output_that_has_changed_is_replaced(page: Path) -> None:
    page.write_text("before\n```console\n$ echo new\nold\n```\nbehind\n", "utf-8")
    assert TOOL["rewritten"](page) == "before\n```console\n$ echo new\nnew\n```\nbehind\n"


@pytest.mark.parametrize("shown", ["…\n3\n", "1\n…\n", "1\n…\n3\n", "…\n2\n…\n"])
def test_lines_that_are_left_out_stay_left_out(page: Path, shown: str) -> None:
    text = f"```console\n$ seq 3\n{shown}```\n"
    page.write_text(text, "utf-8")
    assert TOOL["rewritten"](page) == text


@pytest.mark.parametrize("shown", ["…\n4\n", "1\n…\n2\n", "2\n…\n"])
def test_what_is_wrong_beside_lines_left_out_is_replaced(page: Path, shown: str) -> None:
    page.write_text(f"```console\n$ seq 3\n{shown}```\n", "utf-8")
    assert TOOL["rewritten"](page) == "```console\n$ seq 3\n1\n2\n3\n```\n"


def test_a_command_that_fails_is_an_error_that_names_it(page: Path) -> None:
    page.write_text("```console\n$ echo why; false\n```\n", "utf-8")
    with pytest.raises(SystemExit, match=r"page\.md: `echo why; false` has the exit status 1:\nwhy"):
        TOOL["rewritten"](page)


def test_the_clock_of_the_commands_stands_still(page: Path) -> None:
    page.write_text("```console\n$ empathy telemetry calls --since today --format json | grep since\n```\n", "utf-8")
    assert f'"since": "{TOOL["NOW"][:10]}T00:00:00Z"' in TOOL["rewritten"](page)
