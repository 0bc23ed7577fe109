"""Sessions under any sequence of actions and faults, judged by one oracle.

The oracle is `workbench.oracle`: what was done to a session and what is left of it, against
invariants that know only the wire contract and the admin API. `our_agent.py` adds what only this
agent has: files and usage.

Two drivers end in it, with the same acts (`acts.py`) on the same servers (`operations.py`).
`machine.py` is a state machine whose failures Hypothesis cuts down. `load.py` has many users
(`users.py`) act side by side, by a seed, and breaks things meanwhile; `./scripts/stress` runs that
(`python -m tests.sessions`).
"""
