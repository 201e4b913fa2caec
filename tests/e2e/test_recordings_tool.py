"""`tools/recordings.py`, which people run on folders of their own: every interaction is listed, none is passed over."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recordings_io import RECORDINGS

pytestmark = pytest.mark.slow

TOOL = Path(__file__).parents[2] / "tools" / "recordings.py"
UNDER_PYTHON_2 = """
interactions:
- request: {method: !!python/unicode 'POST', uri: !!python/unicode 'https://api.openai.com/v1/chat/completions',
    body: !!python/unicode '{"model": "gpt-4o-mini", "messages": []}'}
  response:
    status: {code: 200, message: OK}
    headers: {content-type: [application/json]}
    body: {string: !!python/unicode '{"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini",
      "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
      "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}'}
- request: {method: GET, uri: 'https://api.openai.com/v1/models', body: null}
  response: {status: {code: 200, message: OK}, headers: {}, body: {string: '{}'}}
- request: {method: POST, uri: 'https://api.openai.com/v1/chat/completions', body: null}
  response: {status: {code: 200, message: OK}, headers: {content-encoding: [br]}, body: {string: !!binary iwI=}}
"""


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, TOOL, folder], capture_output=True, text=True, check=False)


def test_every_interaction_below_the_folder_is_listed(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    shutil.copy(RECORDINGS / "openai_errors.yaml", below)
    (tmp_path / "old.yml").write_text(UNDER_PYTHON_2)
    (tmp_path / "other.yaml").write_text("replicas: 3")
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"below/openai_errors.yaml#{position} " in done.stdout for position in range(4))
    assert "1.95e-06" in done.stdout
    assert "not a generation: GET /v1/models" in done.stdout
    assert "compressed with br" in done.stdout
    assert "other.yaml: not a VCR" in done.stdout
    assert done.stdout.rstrip().endswith("8 interactions: 5 equal, 0 differs, 3 not replayed")


def test_a_folder_without_recordings_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert "no recordings" in done.stderr
