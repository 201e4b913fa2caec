"""Alerts: rules over the exported metrics that fire once, on time, and are never lost."""

from __future__ import annotations

from .metrics import MetricType, m
from .rule import AlertAction, AlertCondition, AlertRule, Operator, Severity, alert

__all__ = ["AlertAction", "AlertCondition", "AlertRule", "MetricType", "Operator", "Severity", "alert", "m"]
