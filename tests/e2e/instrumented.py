"""Run as a program of its own: makes every recorded call under `instrument()`, which patches the clients for good.

Prints a JSON object: `way/recording#position` to the differences between what was said and what was recorded.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from clients import Plan
from comparison import differences, make, make_async, ways_of
from recorded_calls import plans
from replay_server import ReplayServer

from attune_monitoring import instrument


def main() -> None:
    turned_on = instrument("openai", "anthropic")
    if turned_on != ["openai", "anthropic"]:
        raise SystemExit(f"only {turned_on} could be turned on")
    found: dict[str, list[str]] = {}
    with ReplayServer() as server:
        for plan in plans():
            for way in ways_of(plan):
                found[f"{way}/{plan.interaction.name}"] = differences(plan, make(plan, server, way))
        asyncio.run(_asynchronously(plans(), server, found))
    json.dump(found, sys.stdout)


async def _asynchronously(every: list[Plan], server: ReplayServer, found: dict[str, list[str]]) -> None:
    for plan in every:
        for way in ways_of(plan):
            found[f"async {way}/{plan.interaction.name}"] = differences(plan, await make_async(plan, server, way))


if __name__ == "__main__":
    main()
