"""Every example of the documentation runs, every link leads somewhere, and no field is left unexplained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from attune_monitoring import LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord
from attune_monitoring import semconv as sc
from attune_monitoring.cli.demo_provider import simulated_provider
from attune_monitoring.config import load_config
from attune_monitoring.scope import HOOKS
from attune_monitoring.testing import Captured
from markdown_blocks import anchors, blocks, links

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS]
EXAMPLES = [page for page in DOCS if any(blocks(page, "python"))]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Any:
    with simulated_provider() as address:
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{address}/v1")
        monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", address)
        yield address


@pytest.mark.slow
@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.name)
def test_the_examples_of_a_page_run_from_top_to_bottom(page: Path, provider: str, attune_capture: Captured) -> None:
    failures = HOOKS.failures.copy()
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page, "python"):
        # Lines in front make a traceback name the page's own line.
        exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)
    for name in [name for name in namespace if name.startswith("test_")]:
        attune_capture.calls.clear()
        namespace[name](attune_capture)
    assert HOOKS.failures == failures  # telemetry fails in silence


@pytest.mark.slow
def test_the_fallback_of_the_guide_is_recorded_as_the_guide_says(provider: str, attune_capture: Captured) -> None:
    namespace: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / "instrumentation.md", "python"):
        exec(block.text, namespace)
        if "call.fallback" in block.text:
            break
    call = attune_capture.calls[-1]
    assert call.retry_count == 1
    assert call.fallback_chain == ["anthropic:premium", "openai:cheap"]
    assert (call.original_provider, call.original_model) == ("anthropic", "claude-opus-4-5")


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, id=f"{page.stem}:{block.line}") for page in DOCS for block in blocks(page, "yaml")],
)
def test_every_configuration_that_is_shown_is_valid(block: Any, tmp_path: Path) -> None:
    file = tmp_path / "monitoring.yaml"
    file.write_text(block.text, "utf-8")
    assert load_config(file, env={}, cwd=tmp_path).source == file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page: Path) -> None:
    for link in links(page):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {(ROOT / link).resolve() for link in links(ROOT / "README.md") if not link.startswith("https://")}
    assert set(DOCS) <= linked


@pytest.mark.parametrize("record", [LLMCallRecord, WorkflowRunRecord, WorkflowStageRecord])
def test_every_field_of_the_records_is_explained(record: Any) -> None:
    page = (ROOT / "docs" / "records.md").read_text("utf-8")
    explained = set(re.findall(r"`(\w+)`", page))
    assert set(record.__struct_fields__) <= explained


def test_every_source_of_a_cost_is_explained() -> None:
    page = (ROOT / "docs" / "records.md").read_text("utf-8")
    assert set(sc.CostSource.__args__) <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_every_module_has_its_floor_in_the_drawing() -> None:
    [drawing] = [
        block.text for block in blocks(ROOT / "docs" / "architecture.md", "text") if " 1  errors" in block.text
    ]
    package = ROOT / "src" / "attune_monitoring"
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules <= set(re.findall(r"\w+", drawing))
