"""The pytest fixture `attune_capture`; pytest imports this file in every run, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from attune_monitoring.testing import Captured

__all__ = ["attune_capture"]


@pytest.fixture
def attune_capture() -> Iterator[Captured]:
    """The spans, metrics and records that the test made, kept in memory only."""
    from attune_monitoring.testing import capture

    with capture() as captured:
        yield captured
