# ruff: noqa: F401
"""Everything that a notebook needs: Restate, the agent, a model, and views of them.

    import workbench as wb

    restate = wb.start_restate()
    model = wb.start_model()
    agent = wb.start_agent(restate, model)
    admin, ingress = wb.Admin(restate), wb.Ingress(restate)

Everything that is started stays, for the next notebook to find, until `wb.stop_all()`. Each
`show_…` prints a table or displays a picture; its `…_rows` gives the same as data.
"""

from workbench.agent_process import AgentProcess, start_agent
from workbench.clients import Admin, AdminError, Ingress, IngressError, WaitTimeout, wait_until
from workbench.errors import WorkbenchError
from workbench.lesson import new_key, show_source, show_ui, stop_all
from workbench.model import ModelRequest, Provider, ScriptedModel, start_model
from workbench.restate import Restate, start_restate
from workbench.serve_here import Served, serve_here
from workbench.views.invocations import invocation_rows, show_invocations
from workbench.views.journal import journal_rows, show_journal
from workbench.views.lanes import lane_rows, show_lanes
from workbench.views.lifecycle.show import show_lifecycle
from workbench.views.model_requests import show_model_requests
from workbench.views.session import show_history, show_turns
from workbench.views.state import show_state, state_rows
from workbench.views.state_changes import show_state_changes, state_of
from workbench.views.timeline.show import cleanup_rows, show_timeline, timeline_rows
from workbench.views.tree import tree_rows
from workbench.views.tree_picture import show_tree
from workbench.views.watch.show import watch_tree
