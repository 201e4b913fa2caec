"""Alerts: rules over the exported metrics that fire once, on time, and are never lost."""

from __future__ import annotations

from .engine import AlertEngine
from .load import load_rules
from .metrics import MetricType, m
from .modelled import anomaly, forecast
from .rule import AlertAction, AlertCondition, AlertRule, Operator, Severity, alert

__all__ = [
    "AlertAction",
    "AlertCondition",
    "AlertEngine",
    "AlertRule",
    "MetricType",
    "Operator",
    "Severity",
    "alert",
    "anomaly",
    "forecast",
    "load_rules",
    "m",
]
