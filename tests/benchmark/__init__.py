"""Measurements, not checks: what an interruption costs under load; `./scripts/benchmark`."""
