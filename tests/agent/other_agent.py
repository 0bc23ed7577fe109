"""`python -m tests.agent.other_agent NAME`: the agent, with other work than its own: a module of
`tests/agent/other_work`, or, as "docstring", the code in the docstring of `agent`.
"""

import sys
import textwrap
from importlib import import_module
from types import ModuleType

import agent
from agent.__main__ import main


def work_of_the_docstring() -> ModuleType:
    """What stands indented from the first import on."""
    code = (agent.__doc__ or "").partition("\n    from restate import")
    lines = []
    for line in (code[1].lstrip("\n") + code[2]).splitlines():
        if line and not line.startswith("    "):
            break
        lines.append(line)
    module = ModuleType("agent.work")
    exec(textwrap.dedent("\n".join(lines)), vars(module))
    return module


def work_called(name: str) -> ModuleType:
    if name == "docstring":
        return work_of_the_docstring()
    return import_module(f"tests.agent.other_work.{name}")


if __name__ == "__main__":
    sys.modules["agent.work"] = work_called(sys.argv.pop(1))
    sys.exit(main())
