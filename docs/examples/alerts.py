"""The rules of alerts.yaml in Python. This file is code: it is used only where it is named, as in
`empathy alerts watch --config docs/examples/alerts.py`.
"""

from __future__ import annotations

import os
from typing import Any

from attune_monitoring.alerts import AlertAction, AlertRule, MetricType, Operator, Severity, alert, m
from attune_monitoring.alerts.modelled import anomaly, forecast

terminal = [AlertAction("stdout", name="terminal")]
chat = [AlertAction("slack", {"url": url}, name="chat")] if (url := os.environ.get("SLACK_WEBHOOK_URL")) else []
oncall = [AlertAction("webhook", {"url": url}, name="oncall")] if (url := os.environ.get("ONCALL_WEBHOOK_URL")) else []

# A metric and a threshold. Money is USD, rates are percent, latency is milliseconds.
daily_cost = AlertRule(
    "daily-cost",
    metric=MetricType.DAILY_COST,
    operator=Operator.GT,
    threshold=10,
    resolve_threshold=8,
    cooldown="4h",
    annotations={"summary": "{value:.2f} USD in 24 hours"},
    actions=terminal + chat,
)

# Metrics over windows, joined with + - * /, compared, and joined with & | ~ (comparisons in parentheses).
error_spike = AlertRule(
    "error-spike",
    when=(m.errors.sum("5m") / m.calls.sum("5m") > 0.2) & (m.calls.sum("5m") >= 20),
    for_="5m",
    keep_firing_for="10m",
    severity=Severity.CRITICAL,
    cooldown="4h",
    annotations={
        "summary": "{value:.0%} of the calls of the last 5 minutes failed",
        "runbook_url": "https://example.com/runbooks/llm-errors",
    },
    actions=terminal + chat + oncall,
)

expensive_workflow = AlertRule(
    "expensive-workflow",
    metric="workflow_cost",
    threshold=5,
    by="workflow_name",
    cooldown="4h",
    annotations={"summary": "{workflow_name} cost {value:.2f} USD in 24 hours"},
    actions=terminal,
)

fallbacks = AlertRule(
    "fallbacks",
    metric="fallback_rate",
    threshold=10,
    min_samples=20,
    cooldown="4h",
    annotations={
        "summary": "{value:.1f} % of the calls of the last hour were answered by another model than the first"
    },
    actions=terminal,
)

last_hour = m.tokens.sum("1h", token_type=("input", "output"))
last_day = m.tokens.sum("24h", token_type=("input", "output"))
token_spike = AlertRule(
    "token-spike",
    when=(last_hour > 3 * last_day / 24) & (last_hour > 500_000),
    for_="10m",
    cooldown="4h",
    annotations={"summary": "{value:,.0f} tokens in the last hour"},
    actions=terminal,
)

slow_answers = AlertRule(
    "slow-answers",
    metric="latency_p95",
    threshold=15_000,
    window="15m",
    by="model",
    for_="10m",
    min_samples=20,
    cooldown="4h",
    annotations={"summary": "{model}: one answer in twenty took longer than {value:,.0f} ms"},
    actions=terminal,
)

budget_forecast = AlertRule("budget-forecast", forecast("cost", "month") > 500, cooldown="1d", actions=terminal)

cost_anomaly = AlertRule("cost-anomaly", anomaly("cost", by="workflow_name"), cooldown="4h", actions=terminal)

silence = AlertRule(
    "silence",
    when=m.calls.sum("1h").equals(0),
    no_data="alert",
    severity="info",
    cooldown="4h",
    enabled=False,
    actions=terminal,
)

unknown_cost = AlertRule(
    "unknown-cost",
    metric="unknown_cost",
    threshold=0,
    severity="info",
    cooldown="7d",
    annotations={"summary": "{value:.0f} calls in 24 hours whose price is not known; see pricing in monitoring.yaml"},
    actions=terminal,
)


# Any logic at all: a function that is asked for each workflow. None is no data.
@alert(name="retries-for-nothing", by="workflow_name", for_="10m", cooldown="4h", actions=terminal)
def retries_for_nothing(metrics: Any) -> bool | None:
    """More than half of the calls were tried again, and still failed more often than not."""
    calls = metrics.calls.sum("1h")
    if calls is None or calls < 20:
        return None
    retries, errors = metrics.retries.sum("1h") or 0, metrics.errors.sum("1h") or 0
    return bool(retries > calls / 2 and errors > calls / 2)
