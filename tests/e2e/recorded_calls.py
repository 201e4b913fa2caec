"""The recorded calls that the end-to-end tests make again: our own, and the sample cassettes where they are there."""

from __future__ import annotations

from pathlib import Path

from clients import Plan, UnreplayableError, plan

from recordings_io import RECORDINGS, load_folder

__all__ = ["CASSETTES", "plans"]

CASSETTES = Path(__file__).parents[3] / "shared" / "samples" / "cassettes"


def plans() -> list[Plan]:
    """Every recorded request that OpenAI's or Anthropic's client can make."""
    folders = [RECORDINGS, *([CASSETTES] if CASSETTES.is_dir() else [])]
    found = []
    for folder in folders:
        for interaction in load_folder(folder):
            try:
                found.append(plan(interaction))
            except UnreplayableError:
                continue
    return found
