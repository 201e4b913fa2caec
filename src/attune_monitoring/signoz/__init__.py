"""SigNoz as code: strict types for its dashboards and rules, and ours made from the names in semconv.py."""

from __future__ import annotations

from .boards import dashboards
from .dashboard import Dashboard, read_dashboard
from .rule import Rule, read_rule
from .translation import Refusal, Translation, translate, translate_all
from .wire import to_json

__all__ = [
    "Dashboard",
    "Refusal",
    "Rule",
    "Translation",
    "dashboards",
    "read_dashboard",
    "read_rule",
    "to_json",
    "translate",
    "translate_all",
]
