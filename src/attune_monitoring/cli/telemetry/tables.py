"""Records as tables of a DuckDB in memory, for `query` and for Parquet; needs the extra [analytics]."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from attune_monitoring.errors import MonitoringError

from .flat import COLUMNS, Kind, What

if TYPE_CHECKING:
    import duckdb

__all__ = ["connect", "load", "lock", "write_parquet"]

_TYPES: dict[Kind, str] = {
    "text": "VARCHAR",
    "int": "BIGINT",
    "float": "DOUBLE",
    "bool": "BOOLEAN",
    "time": "TIMESTAMPTZ",
    "list": "JSON",
    "object": "JSON",
}


def connect() -> duckdb.DuckDBPyConnection:
    """Return an empty database in memory.

    Raises:
        MonitoringError: DuckDB is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MonitoringError(
            "this needs DuckDB, which comes with the extra [analytics]: pip install 'attune-monitoring[analytics]'"
        ) from error
    connection = duckdb.connect(":memory:")
    connection.execute("SET autoinstall_known_extensions = false")
    return connection


def load(connection: duckdb.DuckDBPyConnection, what: What, rows: Iterable[tuple[Any, ...]]) -> int:
    """Create the table `what` with these rows of `flat.rows`; return their number.

    The rows take the way over a file that only this user can read and that is removed again: inserting a million of
    them one after another would take minutes.
    """
    names = tuple(COLUMNS[what])
    encoder = msgspec.json.Encoder(enc_hook=str)
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{what}.jsonl")
        with path.open("wb") as file:
            for row in rows:
                file.write(encoder.encode(dict(zip(names, row, strict=True))) + b"\n")
                count += 1
        columns = ", ".join(f"'{name}': '{_TYPES[kind]}'" for name, kind in COLUMNS[what].items())
        connection.execute(
            f"CREATE TABLE {what} AS FROM read_json($file, format = 'newline_delimited', "  # nosec
            f"maximum_object_size = 67108864, columns = {{{columns}}})",
            {"file": str(path)},
        )
    return count


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on nothing outside of the database can be read or written, and no setting undoes that."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def write_parquet(path: Path, what: What, rows: Iterable[tuple[Any, ...]]) -> int:
    """Write rows to a Parquet file; return their number. Lists and objects are JSON texts.

    Raises:
        MonitoringError: DuckDB is not installed.
    """
    with connect() as connection:
        count = load(connection, what, rows)
        connection.execute(f"COPY {what} TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION zstd)")
    return count


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
