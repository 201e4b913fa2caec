"""Folders of random lines, old and new ones, damaged ones among them: what the figures are checked against SQL on."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["NEWEST", "write_folder"]

NEWEST = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
_DAMAGED = (
    b"", b"  ", b"{}", b"[1]", b"null", b'"text"', b"\xff\xfe", b"\x00", b"[" * 2000, b'{"call_id": "x", "timestamp": ',
    b'{"call_id": "x", "timestamp": "soon"}', b'{"call_id": "x", "timestamp": "2026-11-20T10:00:00Z", "n": NaN}',
    b'{"run_id": "x", "workflow_name": "review"}', b'{"call_id": "x", "timestamp": "2026-11-20T10:00:00Z",}',
)  # fmt: skip


def write_folder(folder: Path, seed: int, size: int) -> None:
    """Write some `size` calls and a fifth as many runs into the segments of a new folder.

    Duplicate pairs have a cost of their own, so that there is one way only to pair them.
    """
    rnd = random.Random(seed)
    folder.mkdir(parents=True)
    calls = [line for number in range(size) for line in _calls(rnd, number)]
    shared, own = [one for one, is_old in calls if is_old], [one for one, is_old in calls if not is_old]
    rnd.shuffle(own)
    cuts = sorted(rnd.randrange(len(own) + 1) for _ in range(2))
    cut = rnd.randrange(len(shared) + 1)
    _write(rnd, folder / "llm_calls.jsonl", _mixed(rnd, shared[:cut], own[: cuts[0]]))
    _write(rnd, folder / "llm_calls.00001.jsonl", _mixed(rnd, shared[cut:], own[cuts[0] : cuts[1]]))
    _write(rnd, folder / "llm_calls.w0.jsonl", own[cuts[1] :])
    details, published = [], []
    for number in range(size // 5):
        run, more = _run(rnd, number)
        kind = rnd.choice(("old", "root", "root", "nested"))
        if kind == "nested":
            more["parent_run_id"] = "run-0"
        if kind != "old":
            details.append({**run, "metadata": {"attune": more}})
        if kind != "nested":
            published.append(run)
    _write(rnd, folder / "workflow_details.jsonl", details)
    _write(rnd, folder / "workflow_runs.jsonl", published)


def _calls(rnd: random.Random, number: int) -> list[tuple[dict[str, Any], bool]]:
    kind = rnd.choices(("new", "pair", "old", "odd"), (8, 2, 2, 1))[0]
    ended = _moment(rnd)
    line: dict[str, Any] = {
        "call_id": f"c{number}",
        "timestamp": _text(rnd, ended),
        "workflow_name": rnd.choice((None, "review", "triage", "négligé")),
        "step_name": rnd.choice((None, "one", "two")),
        "session_id": rnd.choice((None, "s1", "s2")),
        "user_id": rnd.choice((None, "ann", "bob")),
        "provider": rnd.choice(("openai", "anthropic", "ollama")),
        "tier": rnd.choice(("cheap", "capable", "premium", "unknown")),
        "model_id": rnd.choice(("small", "large", "")),
        "input_tokens": rnd.randrange(10_000),
        "output_tokens": rnd.randrange(1000),
        "estimated_cost": rnd.random() / 10 + number,
        "latency_ms": int(rnd.lognormvariate(6, 1.5)),
        "retry_count": rnd.choice((0, 0, 2)),
        "fallback_used": rnd.random() < 0.2,
        "original_provider": rnd.choice((None, "openai", "google")),
        "success": rnd.random() > 0.2,
        "error_type": rnd.choice((None, "timeout", "RateLimitError")),
        "metadata": {},
    }
    if kind == "pair":
        later = ended + timedelta(microseconds=rnd.randrange(99_000))
        first = {**line, "user_id": "workflow"}
        second = {**line, "call_id": f"d{number}", "timestamp": later.isoformat(), "user_id": None,
                  "metadata": {"run_id": rnd.choice((None, "run-0"))}}  # fmt: skip
        pair = [first, second]
        if rnd.random() < 0.3:
            pair.reverse()
        return [(one, True) for one in pair]
    if kind == "old":
        line["user_id"] = rnd.choice(("workflow", "ann", None))
        return [(line, True)]
    if kind == "odd":
        for key in rnd.sample(sorted(line.keys() - {"call_id", "timestamp", "error_type"}), 4):
            line[key] = rnd.choice((None, [], {"a": 1}))
        return [(line, False)]
    line["actual_cost"] = rnd.choice((None, None, rnd.random()))
    unknown = rnd.random() < 0.15
    if unknown:
        del line["estimated_cost"]
    line["metadata"] = {
        "attune": {
            "pid": 7,
            "dialect": rnd.choice(("attune", "openai")),
            "unknown": ["estimated_cost"] * unknown + ["input_tokens"] * (rnd.random() < 0.1),
            "cost_source": rnd.choice(("unknown", "none")) if unknown else "table",
            "baseline_cost": rnd.choice((None, rnd.random())),
            "cache_read_tokens": rnd.choice((None, 17)),
            "cache_write_tokens": rnd.choice((None, 3)),
            "reasoning_tokens": rnd.choice((None, 5)),
            "time_to_first_token_ms": rnd.choice((None, rnd.random() * 900, -1.0)),
            "finish_reasons": rnd.choice(([], ["stop"], ["length"], ["stop", "max_tokens"])),
            "attempts": rnd.choice(([], [{"outcome": "retry", "cost": 0.01}, {"outcome": "fallback", "cost": 0.02}])),
            "cancelled": rnd.random() < 0.1,
            "project": rnd.choice((None, "shop")),
            "service": rnd.choice((None, "web")),
            "under_pytest": rnd.random() < 0.1,
        }
    }
    return [(line, False)]


def _run(rnd: random.Random, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    cost = rnd.random()
    stages = [
        {"stage_name": rnd.choice(("plan", "write")), "tier": rnd.choice(("cheap", "premium")), "model_id": "small",
         "cost": rnd.random(), "latency_ms": rnd.randrange(9000), "success": rnd.random() > 0.2,
         "skipped": rnd.random() < 0.2}
        for _ in range(rnd.randrange(4))
    ]  # fmt: skip
    run = {
        "run_id": f"run-{number}",
        "workflow_name": rnd.choice(("review", "triage")),
        "started_at": _text(rnd, _moment(rnd)),
        "stages": stages,
        "total_cost": cost,
        "baseline_cost": 2 * cost,
        "savings": cost,
        "total_duration_ms": rnd.randrange(100_000),
        "success": rnd.random() > 0.2,
    }
    more = {
        "pid": 7,
        "project": rnd.choice((None, "shop")),
        "cancelled": rnd.random() < 0.1,
        "under_pytest": rnd.random() < 0.1,
        "stages": [{"stage_id": f"{number}-{place}", "cancelled": rnd.random() < 0.1} for place in range(len(stages))],
    }
    return run, more


def _moment(rnd: random.Random) -> datetime:
    days = rnd.choice((0.01, 1, 3, 20))
    return NEWEST - timedelta(microseconds=rnd.randrange(1, int(days * 86_400_000_000)))


def _text(rnd: random.Random, moment: datetime) -> str:
    """The moment as one of the writers wrote it; local times only away from clock changes."""
    how = rnd.choice(("Z", "Z", "local", "offset"))
    if how == "Z":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if how == "local" and moment > datetime(2026, 11, 8, tzinfo=UTC):
        return moment.astimezone().replace(tzinfo=None).isoformat()
    return moment.isoformat()


def _mixed(rnd: random.Random, some: list[dict[str, Any]], others: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Both in their order, shuffled into one another."""
    which = [0] * len(some) + [1] * len(others)
    rnd.shuffle(which)
    sources = iter(some), iter(others)
    return [next(sources[one]) for one in which]


def _write(rnd: random.Random, path: Path, lines: list[dict[str, Any]]) -> None:
    with path.open("wb") as file:
        for line in lines:
            if rnd.random() < 0.1:
                file.write(rnd.choice(_DAMAGED) + b"\n")
            file.write(json.dumps(line, ensure_ascii=rnd.random() < 0.5).encode() + b"\n")
        file.write(b'{"call_id": "unfinished", "timestamp": "2026-11-20T10:00:00Z"}')
