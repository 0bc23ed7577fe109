"""Many sessions, random actions and faults, and what must hold when all is quiet again.

`./scripts/stress` runs it. `script.py` and `faults.py` decide what is done, by the seed alone;
`client.py`, `operate.py` and `faults.py` do it; `ledger.py` and `model_log.py` keep what was seen;
`picture.py` puts it together for one session, and `invariants/` says what is wrong with a picture.
"""
