"""Configuration: monitoring.yaml and environment as one frozen Config, and where the project's files are."""

from __future__ import annotations

from .declaration import json_schema
from .folders import find_config_file, find_storage_dir, project_root
from .load import fallback_config, load_config
from .model import BudgetConfig, Config, ContentConfig, JsonlConfig, OtlpConfig, PricingConfig, describe, pricing_of

__all__ = [
    "BudgetConfig",
    "Config",
    "ContentConfig",
    "JsonlConfig",
    "OtlpConfig",
    "PricingConfig",
    "describe",
    "fallback_config",
    "find_config_file",
    "find_storage_dir",
    "json_schema",
    "load_config",
    "pricing_of",
    "project_root",
]
