"""Lets the end-to-end tests, in whatever order they are collected, import what they share with the others."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
