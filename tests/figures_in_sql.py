"""The figures of a folder once more, in plain SQL over its lines: what the package's own must equal.

Nothing of the package is used here, so that no mistake can be made twice. Rules are those of docs/figures.md. What is
JSON is for Python's own parser to say, because DuckDB's lets `NaN` and trailing commas pass; all else is SQL.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["FiguresInSql", "microseconds"]

_NAME = re.compile(r"(llm_calls|workflow_runs|workflow_details)(?:\.w(\d{1,4}))?(?:\.(\d{5,}))?\.jsonl")

_MACROS = """
CREATE MACRO text_at(j, path) AS CASE WHEN json_type(j, path) IN ('VARCHAR', 'BIGINT', 'UBIGINT') THEN j ->> path END;
CREATE MACRO number_at(j, path) AS
    CASE WHEN json_type(j, path) IN ('BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE')
         THEN TRY_CAST(j ->> path AS DOUBLE) END;
CREATE MACRO whole_at(j, path) AS
    CASE WHEN number_at(j, path) >= -9223372036854775808 AND number_at(j, path) < 9223372036854775808
         THEN CAST(trunc(number_at(j, path)) AS BIGINT) END;
CREATE MACRO flag_at(j, path) AS CASE WHEN json_type(j, path) = 'BOOLEAN' THEN CAST(j ->> path AS BOOLEAN) END;
CREATE MACRO time_at(j, path) AS
    CASE WHEN json_type(j, path) = 'VARCHAR' THEN epoch_us(TRY_CAST(j ->> path AS TIMESTAMPTZ)) END;
CREATE MACRO outcome_of(success, cancelled) AS
    CASE WHEN cancelled THEN 'cancelled' WHEN success THEN 'ok' ELSE 'error' END;
"""

_CALLS = """
CREATE TABLE every_call AS
WITH fields AS (
    SELECT
        slot, number, place, j,
        time_at(j, '$.timestamp') AS moment,
        text_at(j, '$.workflow_name') AS workflow_name,
        text_at(j, '$.step_name') AS step_name,
        text_at(j, '$.user_id') AS user_id,
        text_at(j, '$.session_id') AS session_id,
        coalesce(text_at(j, '$.task_type'), 'unknown') AS task,
        coalesce(text_at(j, '$.provider'), 'anthropic') AS provider,
        coalesce(text_at(j, '$.tier'), 'capable') AS tier,
        coalesce(text_at(j, '$.model_id'), '') AS model,
        json_extract_string(j, '$.metadata.attune.unknown[*]') AS not_known,
        coalesce(flag_at(j, '$.success'), true) AS success,
        coalesce(flag_at(j, '$.metadata.attune.cancelled'), false) AS cancelled,
        coalesce(flag_at(j, '$.metadata.attune.under_pytest'), false) AS is_test,
        whole_at(j, '$.metadata.attune.pid') IS NULL AND text_at(j, '$.metadata.attune.dialect') IS NULL AS is_old,
        -- A record of ours repeats its run under metadata.run_id; that is no key of an earlier writer.
        json_type(j, '$.metadata.run_id') IS NOT NULL
            AND coalesce(text_at(j, '$.metadata.attune.run_id') <> (j ->> '$.metadata.run_id'), true) AS has_run_key
    FROM lines
    WHERE stream = 'llm_calls' AND json_type(j, '$.call_id') IN ('VARCHAR') AND (j ->> '$.call_id') <> ''
)
SELECT
    *,
    CASE WHEN NOT list_contains(not_known, 'input_tokens') THEN coalesce(whole_at(j, '$.input_tokens'), 0) END AS input,
    CASE WHEN NOT list_contains(not_known, 'output_tokens') THEN coalesce(whole_at(j, '$.output_tokens'), 0) END
        AS output,
    coalesce(
        number_at(j, '$.actual_cost'),
        CASE WHEN NOT list_contains(not_known, 'estimated_cost') THEN coalesce(number_at(j, '$.estimated_cost'), 0) END
    ) AS cost
FROM fields
WHERE moment IS NOT NULL;

-- Old duplicate pairs: records that are equal but for the two marks, and follow one another within 100 ms, are a
-- cluster (gaps and islands); in a cluster the n-th of one kind goes with the n-th of the other, and of the two the
-- later in the file is not counted. This is the rule of docs/figures.md wherever there is only one way to pair.
CREATE TABLE second_of_pair AS
WITH half AS (
    SELECT
        slot, number, place, moment, has_run_key,
        hash(row(slot, workflow_name, step_name, task, provider, tier, model, input, output, cost, success)) AS same
    FROM every_call
    WHERE is_old AND ((has_run_key AND user_id IS NULL) OR (NOT has_run_key AND user_id = 'workflow'))
), gap AS (
    SELECT *,
        coalesce(moment - lag(moment) OVER (PARTITION BY same ORDER BY moment, number, place) > 100000, true) AS begins
    FROM half
), island AS (
    SELECT *, count(*) FILTER (begins) OVER (PARTITION BY same ORDER BY moment, number, place) AS cluster FROM gap
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY same, cluster, has_run_key ORDER BY number, place) AS nth FROM island
)
SELECT
    one.slot,
    CASE WHEN (one.number, one.place) > (other.number, other.place) THEN one.number ELSE other.number END AS number,
    CASE WHEN (one.number, one.place) > (other.number, other.place) THEN one.place ELSE other.place END AS place
FROM numbered AS one
JOIN numbered AS other USING (same, cluster, nth)
WHERE one.has_run_key AND NOT other.has_run_key AND abs(one.moment - other.moment) <= 100000;

CREATE TABLE given_up AS
SELECT slot, number, place, attempt ->> '$.outcome' AS why, number_at(attempt, '$.cost') AS cost
FROM (
    SELECT slot, number, place, unnest(json_extract(j, '$.metadata.attune.attempts[*]')) AS attempt
    FROM lines
    WHERE stream = 'llm_calls'
);

CREATE TABLE calls AS
SELECT
    moment, is_test, provider, tier, model, task, cost,
    coalesce(workflow_name, '') AS workflow,
    coalesce(step_name, '') AS step,
    CASE WHEN is_old AND user_id = 'workflow' THEN '' ELSE coalesce(user_id, '') END AS "user",
    coalesce(session_id, '') AS session,
    coalesce(text_at(j, '$.metadata.attune.project'), '') AS project,
    coalesce(text_at(j, '$.metadata.attune.service'), '') AS service,
    coalesce(text_at(j, '$.metadata.attune.cost_source'), '') AS source,
    outcome_of(success, cancelled) AS outcome,
    CASE WHEN outcome_of(success, cancelled) <> 'error' THEN ''
         ELSE coalesce(nullif(text_at(j, '$.error_type'), ''), '_OTHER') END AS error,
    cost IS NULL AND coalesce(text_at(j, '$.metadata.attune.cost_source'), '') <> 'none' AS cost_is_unknown,
    CASE WHEN cost IS NOT NULL THEN number_at(j, '$.metadata.attune.baseline_cost') END AS baseline,
    coalesce(input, 0) AS input,
    coalesce(output, 0) AS output,
    coalesce(whole_at(j, '$.metadata.attune.cache_read_tokens'), 0) AS cache_read,
    coalesce(whole_at(j, '$.metadata.attune.cache_write_tokens'), 0) AS cache_write,
    coalesce(whole_at(j, '$.metadata.attune.reasoning_tokens'), 0) AS reasoning,
    coalesce(whole_at(j, '$.retry_count'), 0) AS retries,
    coalesce(flag_at(j, '$.fallback_used'), false) AS fell_back,
    text_at(j, '$.original_provider') AS original_provider,
    list_has_any(
        json_extract_string(j, '$.metadata.attune.finish_reasons[*]'),
        ['length', 'max_tokens', 'max_output_tokens', 'MAX_TOKENS', 'model_length']
    ) AS is_truncated,
    coalesce(whole_at(j, '$.latency_ms'), 0) AS latency,
    number_at(j, '$.metadata.attune.time_to_first_token_ms') AS first_token,
    coalesce((SELECT sum(g.cost) FROM given_up AS g
        WHERE g.why = 'retry' AND (g.slot, g.number, g.place) = (c.slot, c.number, c.place)), 0) AS retry_waste,
    coalesce((SELECT sum(g.cost) FROM given_up AS g
        WHERE g.why = 'fallback' AND (g.slot, g.number, g.place) = (c.slot, c.number, c.place)), 0) AS fallback_waste
FROM every_call AS c
WHERE (slot, number, place) NOT IN (SELECT (slot, number, place) FROM second_of_pair);
"""

_RUNS = """
CREATE TABLE every_run AS
SELECT
    slot, number, place, stream, j,
    j ->> '$.run_id' AS run_id,
    time_at(j, '$.started_at') AS moment,
    text_at(j, '$.workflow_name') AS workflow
FROM lines
WHERE stream <> 'llm_calls' AND json_type(j, '$.run_id') = 'VARCHAR' AND (j ->> '$.run_id') <> ''
    AND text_at(j, '$.workflow_name') IS NOT NULL AND time_at(j, '$.started_at') IS NOT NULL;

CREATE TABLE runs AS
SELECT
    row_number() OVER (ORDER BY stream, slot, number, place) AS id,
    moment, workflow, j,
    coalesce(text_at(j, '$.metadata.attune.project'), text_at(j, '$.project'), '') AS project,
    text_at(j, '$.metadata.attune.parent_run_id') IS NULL AS is_root,
    coalesce(flag_at(j, '$.metadata.attune.under_pytest'), false) AS is_test,
    outcome_of(coalesce(flag_at(j, '$.success'), true), coalesce(flag_at(j, '$.metadata.attune.cancelled'), false))
        AS outcome,
    coalesce(number_at(j, '$.total_cost'), 0) AS cost,
    coalesce(number_at(j, '$.baseline_cost'), 0) AS baseline,
    coalesce(number_at(j, '$.savings'), 0) AS savings,
    coalesce(whole_at(j, '$.total_duration_ms'), 0) AS duration
FROM every_run
WHERE stream = 'workflow_details'
    OR run_id NOT IN (SELECT run_id FROM every_run WHERE stream = 'workflow_details');

CREATE TABLE every_stage AS
SELECT
    moment, is_test, workflow,
    coalesce(text_at(stage, '$.stage_name'), '') AS stage,
    coalesce(text_at(stage, '$.tier'), 'unknown') AS tier,
    CASE WHEN coalesce(flag_at(stage, '$.skipped'), false) THEN 'skipped'
         ELSE outcome_of(coalesce(flag_at(stage, '$.success'), true), coalesce(flag_at(more, '$.cancelled'), false))
    END AS outcome,
    coalesce(number_at(stage, '$.cost'), 0) AS cost,
    coalesce(whole_at(stage, '$.latency_ms'), 0) AS duration
FROM (
    SELECT
        moment, is_test, workflow,
        unnest(json_extract(j, '$.stages[*]')) AS stage,
        unnest(json_extract(j, '$.metadata.attune.stages[*]')) AS more
    FROM runs
)
WHERE json_type(stage) = 'OBJECT';

CREATE TABLE stages AS SELECT * FROM every_stage WHERE outcome <> 'skipped';
"""

_OUTCOMES = ", ".join(f"count(*) FILTER (outcome = '{name}') AS {name}" for name in ("ok", "error", "cancelled"))


def _durations(name: str, column: str, condition: str) -> str:
    counted = f"FILTER ({condition} AND {column} IS NOT NULL)"
    parts = [f"count(*) {counted} AS {name}_count", f"avg({column}) {counted} AS {name}_avg"]
    parts += [f"{part}({column}) {counted} AS {name}_{part}" for part in ("min", "max")]
    # quantile_disc is the nearest rank: the smallest value that at least so many do not exceed
    parts += [f"quantile_disc({column}, 0.{percent}) {counted} AS {name}_p{percent}" for percent in (50, 95, 99)]
    return ", ".join(parts)


_OF_CALLS = f"""
    count(*) AS calls,
    coalesce(sum(cost), 0) AS cost,
    count(*) FILTER (cost_is_unknown) AS unknown,
    coalesce(sum(baseline), 0) AS baseline,
    coalesce(sum(baseline - cost), 0) AS savings,
    100 * sum(baseline - cost) / nullif(sum(baseline), 0) AS savings_percent,
    sum(input) AS input, sum(output) AS output,
    sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(reasoning) AS reasoning,
    sum(retries) AS retries,
    count(*) FILTER (fell_back) AS fallbacks,
    count(*) FILTER (is_truncated) AS truncated,
    sum(retry_waste) AS retry_waste, sum(fallback_waste) AS fallback_waste,
    {_OUTCOMES},
    100 * count(*) FILTER (outcome = 'ok') / nullif(count(*) FILTER (outcome <> 'cancelled'), 0) AS success_rate,
    100 * count(*) FILTER (outcome = 'error') / count(*) AS error_rate,
    {_durations("latency", "latency", "outcome = 'ok'")},
    {_durations("first_token", "first_token", "first_token >= 0")}
"""
_OF_RUNS = f"""
    count(*) AS runs,
    count(*) FILTER (is_root) AS roots,
    coalesce(sum(cost) FILTER (is_root), 0) AS cost,
    coalesce(sum(baseline) FILTER (is_root), 0) AS baseline,
    coalesce(sum(savings) FILTER (is_root), 0) AS savings,
    coalesce(sum(duration) FILTER (is_root), 0) AS root_ms,
    {_OUTCOMES},
    {_durations("duration", "duration", "true")}
"""
_OF_STAGES = f"""
    count(*) AS stages,
    sum(cost) AS cost,
    {_OUTCOMES},
    {_durations("duration", "duration", "true")}
"""
_FIGURES = {"calls": _OF_CALLS, "runs": _OF_RUNS, "stages": _OF_STAGES}


class FiguresInSql:
    """Figures of the records in one folder.

    Args:
        folder: with the segments.
        time_zone: IANA name of the zone that times without an offset are in.
    """

    def __init__(self, folder: Path, *, time_zone: str = "UTC") -> None:
        self._connection = duckdb.connect()
        self._connection.execute(f"SET TimeZone = '{time_zone}'")
        self._no_json = 0
        columns: list[list[Any]] = [list(column) for column in zip(*self._lines(folder), strict=True)]
        self._connection.execute(
            "CREATE TABLE lines AS SELECT unnest(?::VARCHAR[]) AS stream, unnest(?::INTEGER[]) AS slot, "
            "unnest(?::INTEGER[]) AS number, unnest(?::INTEGER[]) AS place, unnest(?::JSON[]) AS j",
            columns or [[], [], [], [], []],
        )
        for statements in (_MACROS, _CALLS, _RUNS):
            self._connection.execute(statements)

    def __enter__(self) -> FiguresInSql:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def figures(
        self,
        what: str,
        group_by: Sequence[str] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        include_tests: bool = False,
    ) -> dict[tuple[str, ...], dict[str, Any]]:
        """Return figures of calls, runs or stages, by any of their columns; a group of nothing is not there."""
        keys = [f"by_{name}" for name in group_by]
        columns = "".join(f'"{name}" AS by_{name}, ' for name in group_by)
        where = "true" if include_tests else "NOT is_test"
        for moment, compare in ((since, ">="), (until, "<")):
            if moment is not None:
                where += f" AND moment {compare} {microseconds(moment)}"
        grouping = f"GROUP BY {', '.join(keys)}" if keys else ""
        rows = self.ask(f"SELECT {columns}{_FIGURES[what]} FROM {what} WHERE {where} {grouping}")
        return {
            tuple(row[key] for key in keys): {key: value for key, value in row.items() if key not in keys}
            for row in rows
            if row[what]
        }

    def notes(self) -> dict[str, int]:
        """Return how many records and lines are not counted, by reason, over all time."""
        [row] = self.ask(
            "SELECT (SELECT count(*) FROM second_of_pair) AS duplicates, "
            "(SELECT count(*) FROM calls WHERE is_test) AS tests, "
            "(SELECT count(*) FROM lines) - (SELECT count(*) FROM every_call) - (SELECT count(*) FROM every_run) "
            "AS skipped"
        )
        return {**row, "skipped": row["skipped"] + self._no_json}

    def ask(self, statement: str) -> list[dict[str, Any]]:
        """Return the rows of any statement over the tables `calls`, `runs` and `stages`.

        Their `moment` is in microseconds since the epoch; rows with `is_test` were made under pytest.
        """
        cursor = self._connection.execute(statement)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _lines(self, folder: Path) -> list[tuple[str, int, int, int, str]]:
        found = []
        for path in folder.iterdir():
            name = _NAME.fullmatch(path.name)
            if name is None:
                continue
            slot = -1 if name[2] is None else int(name[2])
            *whole, _unfinished = path.read_bytes().split(b"\n")
            for place, line in enumerate(whole):
                if line.strip() and _is_object(line):
                    found.append((name[1], slot, int(name[3] or 0), place, line.decode()))
                elif line.strip():
                    self._no_json += 1
        return found


def microseconds(moment: datetime) -> int:
    """Return the tables' `moment` of an aware or local time: microseconds since the epoch."""
    return round(moment.timestamp() * 1e6)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line.decode(), parse_constant=_refuse, parse_float=_finite), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"no number holds {text}")
    return value
