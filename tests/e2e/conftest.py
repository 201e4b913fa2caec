"""A running replay server and what is recorded, for the tests of this folder, which may import what others share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

from replay_server import ReplayServer  # noqa: E402

from attune_monitoring.testing import Captured, capture  # noqa: E402


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer() as running:
        yield running


@pytest.fixture
def captured() -> Iterator[Captured]:
    with capture() as inside:
        yield inside
