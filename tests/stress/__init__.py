"""Many sessions, random actions and faults, and what must hold when all is quiet again."""
