"""Measurements, not checks: what an interruption costs under load, and in a long session.

`./scripts/benchmark load` and `./scripts/benchmark long-session` run them.
"""
