"""The commented alerts.yaml that `empathy alerts init` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["SAMPLE"]

SAMPLE: Final = Path(__file__).parent.parent / "data" / "alerts.sample.yaml"
"""The same text as docs/examples/alerts.yaml."""
