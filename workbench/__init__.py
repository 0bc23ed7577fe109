# ruff: noqa: F401
"""Everything that a notebook needs: Restate, the agent, a model, and views of them.

    import workbench as wb

    restate, model, admin, ingress = wb.up()
    agent = wb.serve_agent()

Everything that is started stays, for the next notebook to find, until `wb.stop_all()`. Each
`show_…` prints a table or displays a picture; its `…_rows` gives the same as data.

The import itself changes two things: requests of this process to this machine go through no proxy,
and in a notebook's kernel `asyncio.run` works in a cell as it does in a script.
"""

import asyncio
import os

from workbench.ask import ask
from workbench.bench import Bench, up
from workbench.clients import Admin, AdminError, Ingress, IngressError, WaitTimeout, wait_until
from workbench.deploy import cut_off, serve, serve_agent, stop_serving
from workbench.exercises import Wrong, check, hint, solution
from workbench.ids import get_ipython, short_ids
from workbench.ladder.climb import begin, judge, show_step
from workbench.lesson import new_key, quiet, show_file, show_source, show_ui, stop_all
from workbench.loopback import no_proxy
from workbench.model_client import (
    ModelRequest,
    Provider,
    ScriptedModel,
    start_model,
    start_scripted_model,
)
from workbench.optional import need_packages
from workbench.program import AgentProcess, Program, start_agent
from workbench.progress import done, predict, reveal
from workbench.replicas import Replicas, serve_replicas
from workbench.restate import Restate, start_restate
from workbench.restate.cluster import Cluster, start_cluster
from workbench.serve import Served, serve_here
from workbench.shell import sh
from workbench.state_dir import WorkbenchError
from workbench.views.invocations import invocation_rows, show_invocations
from workbench.views.journal import journal_rows, show_journal
from workbench.views.lanes import lanes, show_lanes, show_tree
from workbench.views.state import show_history, show_state, show_turns, state_of, state_rows
from workbench.views.tree import tree_rows


def _let_cells_call_asyncio_run() -> None:
    """Let `asyncio.run` run inside a kernel's own loop, which otherwise refuses it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # a script
        return
    if get_ipython() is not None:
        import nest_asyncio2

        nest_asyncio2.apply()


os.environ.update(no_proxy())
_let_cells_call_asyncio_run()
