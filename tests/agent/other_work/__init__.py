"""Other work for the agent: each module is served by `python -m tests.agent.other_agent NAME`."""
