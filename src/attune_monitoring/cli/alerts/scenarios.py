"""`empathy alerts test --scenarios`: runs rules over records made up for it, and says what came out otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from attune_monitoring.alerts.modelled import ModelledSource
from attune_monitoring.alerts.rule import AlertRule
from attune_monitoring.alerts.scenarios import load_scenarios, run
from attune_monitoring.cli.render import Screen, answer, print_json
from attune_monitoring.records import LLMCallRecord
from attune_monitoring.sources.replay import ReplaySource

__all__ = ["run_scenarios"]


def run_scenarios(path: Path, rules: Sequence[AlertRule], folder: Path, *, json: bool) -> int:
    """Print what came out of each scenario of a folder or file; return the exit status, 1 where one did otherwise.

    Args:
        path: the folder or file.
        rules: those that scenarios may name; disabled ones are evaluated as well.
        folder: of the records, for the JSON envelope.
        json: whether to print JSON.

    Raises:
        ConfigError: a scenario cannot be read.
    """
    enabled = [rule.changed(enabled=True) for rule in rules]
    scenarios = load_scenarios(path)
    found = [(scenario, run(scenario, enabled, _source)) for scenario in scenarios]
    if json:
        data = [
            {
                "name": scenario.name,
                "expectations": len(scenario.expect),
                "differences": [
                    {
                        "place": one.expected.place,
                        "rule": one.expected.rule,
                        "expected": one.expected.state,
                        "found": one.found,
                    }
                    for one in differences
                ],
            }
            for scenario, differences in found
        ]
        print_json(answer("test", {"scenarios": data}, folder=folder))
    else:
        screen = Screen()
        for scenario, differences in found:
            count = len(scenario.expect)
            word = ("failed", "red") if differences else ("ok", "green")
            screen.line(word, f" {scenario.name}: {count - len(differences)} of {count} as expected")
            for one in differences:
                screen.line(f"  {one}")
        if not any(differences for _, differences in found):
            click.echo(f"{len(found)} scenario{'s' if len(found) != 1 else ''}, all as expected")
    return 1 if any(differences for _, differences in found) else 0


def _source(calls: Sequence[LLMCallRecord]) -> ModelledSource:
    return ModelledSource(ReplaySource(calls))
