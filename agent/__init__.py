"""A coding agent that can be interrupted, as four Restate services.

* `CodingAgent`, a Virtual Object with one instance per session: takes messages, keeps the turns
  (`coding_agent.py`).
* `CodingTask`, a Service: does the work of one turn, as a tree of invocations (`coding_task.py`).
* `Workspace`, a Virtual Object: the files of a session, changed by one turn at a time
  (`workspace.py`).
* `UsageMeter`, a Virtual Object: the tokens that a session has spent (`usage_meter.py`).

`python -m agent` serves them; `settings.py` lists the environment variables that it reads.
"""
