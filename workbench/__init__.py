"""What a notebook holds in its hands: Restate, the agent, a model, and ways to look at them.

    import workbench as wb

    restate = wb.start_restate()
    model = wb.start_model()
    agent = wb.start_agent(restate, model)
    admin, ingress = wb.Admin(restate), wb.Ingress(restate)

Everything that is started stays, for the next notebook to find, until `wb.stop_all()`.

The import itself changes two things: requests of this process to this machine go through no proxy,
and in a notebook's kernel `asyncio.run` works in a cell as it does in a script.
"""

import asyncio
import os

from workbench.admin import Admin, AdminError
from workbench.agent_process import AgentProcess, start_agent
from workbench.ingress import Ingress, IngressError
from workbench.loopback import no_proxy
from workbench.model_client import ModelRequest, Provider, ScriptedModel, start_model
from workbench.new_key import new_key
from workbench.notebook import get_ipython
from workbench.restate import Restate, start_restate
from workbench.serve import Served, serve_here
from workbench.show_source import show_source
from workbench.state_dir import WorkbenchError
from workbench.stop_all import stop_all
from workbench.views import (
    cleanup_rows,
    invocation_rows,
    journal_rows,
    lane_rows,
    lifecycle_picture,
    lifecycle_rows,
    model_request_rows,
    show_history,
    show_invocations,
    show_journal,
    show_lanes,
    show_lifecycle,
    show_model_requests,
    show_state,
    show_state_changes,
    show_steps,
    show_timeline,
    show_tree,
    show_turns,
    show_ui,
    state_change_rows,
    state_of,
    state_rows,
    step_rows,
    timeline_picture,
    timeline_rows,
    tree_picture,
    tree_rows,
    watch_tree,
)
from workbench.waiting import WaitTimeout, wait_until

__all__ = [
    "Admin",
    "AdminError",
    "AgentProcess",
    "Ingress",
    "IngressError",
    "ModelRequest",
    "Provider",
    "Restate",
    "ScriptedModel",
    "Served",
    "WaitTimeout",
    "WorkbenchError",
    "cleanup_rows",
    "invocation_rows",
    "journal_rows",
    "lane_rows",
    "lifecycle_picture",
    "lifecycle_rows",
    "model_request_rows",
    "new_key",
    "serve_here",
    "show_history",
    "show_invocations",
    "show_journal",
    "show_lanes",
    "show_lifecycle",
    "show_model_requests",
    "show_source",
    "show_state",
    "show_state_changes",
    "show_steps",
    "show_timeline",
    "show_tree",
    "show_turns",
    "show_ui",
    "start_agent",
    "start_model",
    "start_restate",
    "state_change_rows",
    "state_of",
    "state_rows",
    "step_rows",
    "stop_all",
    "timeline_picture",
    "timeline_rows",
    "tree_picture",
    "tree_rows",
    "wait_until",
    "watch_tree",
]


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
