"""Pieces of SQL."""

from __future__ import annotations


def sql_text(value: str) -> str:
    """`value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
