"""Importing what other programs and earlier versions recorded: each source once, however often it is imported.

An importer yields lines of records; `run_import` writes those that the folder does not hold yet. What it holds is seen
from its lines alone, so an import that was killed goes on where it stopped, and no file has to be kept beside them.
"""

from __future__ import annotations

from .contract import Found, Importer
from .reading import Progress
from .runner import Tally, run_import
from .sources import KINDS, Source, discover, importer_of, recognise

__all__ = [
    "KINDS",
    "Found",
    "Importer",
    "Progress",
    "Source",
    "Tally",
    "discover",
    "importer_of",
    "recognise",
    "run_import",
]
