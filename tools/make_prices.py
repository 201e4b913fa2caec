"""Write the bundled price table from the installed genai-prices: `python tools/make_prices.py [FILE]`.

The same genai-prices gives the same bytes: its order is kept (the first match wins), nothing is dated, one model is
one line so that a change of price is one changed line. attune_monitoring.pricing.table documents the format.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from datetime import UTC, time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from genai_prices import types
from genai_prices.data import providers

from attune_monitoring.pricing.table import row_of

TABLE = Path(__file__).resolve().parent.parent / "src" / "attune_monitoring" / "data" / "prices.json"

# The three request contexts of genai-prices that responses report as a service tier. Others (a search type, a route)
# are not seen in a response, so their prices stay out.
_TIER_CONTEXTS = {"service_tier", "processing", "speed"}

# genai-prices gives a free model an empty price set, but also some models whose price it cannot express. Only those
# that it calls free are free here; for the rest the price is unknown.
_FREE = re.compile(r"\bfree\b|zero token cost", re.IGNORECASE)
# Free by OpenAI's documentation ("The moderation endpoint is free to use"), without a word about it in genai-prices.
_FREE_MODELS = {("openai", "moderation")}


def table() -> str:
    """The table as JSON text."""
    source = distribution("genai-prices")
    head = {"source": f"genai-prices {source.version}", "license": _license()}
    lines = [_json(head)[:-1] + ',"providers":[']
    for index, provider in enumerate(providers):
        lines.append(("," if index else "") + _json(_provider(provider))[:-1] + ',"models":[')
        lines.append(",\n".join(_json(_model(provider.id, model)) for model in provider.models))
        lines.append("]}")
    lines.append("]}")
    return "\n".join(lines) + "\n"


def _license() -> str:
    # The MIT licence asks that its notice goes with every copy; the table is one.
    files = distribution("genai-prices").files or []
    return next(Path(str(f.locate())).read_text(encoding="utf-8") for f in files if f.name == "LICENSE").strip()


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _provider(provider: types.Provider) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": provider.id}
    if provider.provider_match is not None:
        entry["alias"] = _clause(provider.provider_match)
    if provider.model_match is not None:
        entry["owns"] = _clause(provider.model_match)
    if provider.fallback_model_providers:
        entry["fallback"] = provider.fallback_model_providers
    return entry


def _clause(clause: types.MatchLogic) -> str | list[Any]:
    match clause:
        case types.ClauseEquals():
            return "=" + clause.equals.lower()
        case types.ClauseStartsWith():
            return "^" + clause.starts_with.lower()
        case types.ClauseEndsWith():
            return "$" + clause.ends_with.lower()
        case types.ClauseContains():
            return "*" + clause.contains.lower()
        case types.ClauseRegex():
            return "~" + clause.regex
        case types.ClauseOr():
            return [_clause(part) for part in clause.or_]
        case types.ClauseAnd():
            return ["&", *(_clause(part) for part in clause.and_)]
    raise TypeError(f"genai-prices has a match clause that the table cannot hold: {clause!r}")


def _model(provider_id: str, model: types.ModelInfo) -> list[Any]:
    known = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    free = (provider_id, model.id) in _FREE_MODELS or _FREE.search(
        " ".join((model.id.replace(":", " "), model.name or "", model.price_comments or ""))
    )
    prices = [_price(price, [0, 0] if free else []) for price in known]
    entry = [_clause(model.match), prices]
    tiers: dict[str, list[Any]] = {}
    contexts: dict[str, str] = {}
    for context, tier, variant in _tiers(model):
        if contexts.setdefault(tier, context) != context:
            raise ValueError(f"{provider_id}/{model.id}: {context} and {contexts[tier]} are both called {tier!r}")
        tiers.setdefault(tier, []).append(_price(variant, []))
    return [*entry, tiers] if tiers else entry


def _tiers(model: types.ModelInfo) -> Iterator[tuple[str, str, types.PriceVariant]]:
    for variant in model.price_variants or ():
        if len(variant.when) != 1:
            raise ValueError(f"{model.id}: a price that depends on several request contexts: {variant.when}")
        ((context, tier),) = variant.when.items()
        if context in _TIER_CONTEXTS and (tier != "default" or row_of(variant.prices)):
            yield context, tier, variant


def _price(price: types.ConditionalPrice | types.PriceVariant, empty: list[Any]) -> list[Any]:
    whole = any(value is not None for value in vars(price.prices).values())
    row = [_number(cell) for cell in row_of(price.prices)] if whole else empty
    if price.constraint is None:
        return [row]
    if isinstance(price.constraint, types.StartDateConstraint):
        return [row, price.constraint.start_date.isoformat()]
    return [row, f"{_minute(price.constraint.start_time)}-{_minute(price.constraint.end_time)}"]


def _minute(value: time) -> str:
    if value.second or value.microsecond or value.tzinfo not in (None, UTC):
        raise ValueError(f"a time of day that is not a whole UTC minute: {value!r}")
    return f"{value:%H:%M}"


def _number(cell: float | list[float] | None) -> Any:
    if isinstance(cell, list):
        return [_number(value) for value in cell]
    return int(cell) if cell is not None and cell.is_integer() else cell


def main(arguments: list[str]) -> None:
    """Write the table to the file that is named, else to the package's data."""
    target = Path(arguments[0]) if arguments else TABLE
    text = table()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    sys.stderr.write(f"{target}: {len(text.encode()):,} bytes, genai-prices {distribution('genai-prices').version}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
