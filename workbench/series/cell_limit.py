"""How long a cell may take."""

CELL_SECONDS = 60
"""The limit for one cell, in seconds, unless a run says otherwise."""
