"""The ladder: a learner's own agent, judged from outside, level by level.

The judge starts the program, speaks to it through Restate, plays the model, breaks things, and
looks at rows, wire and tokens. It imports nothing of any agent.
"""
