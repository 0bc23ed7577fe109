"""What people would rather look at than read, made of the engine's own rows.

Each `show_…` prints a table or displays a picture, which in a terminal is text too, and
`watch_tree` follows a tree that is at work. Where a lesson or a test asserts on what is shown, its
`…_rows` gives the same as data.
"""

from workbench.views.invocations import invocation_rows, show_invocations
from workbench.views.journal import journal_rows, show_journal
from workbench.views.lanes import lane_rows, show_lanes
from workbench.views.lifecycle.rows import lifecycle_rows
from workbench.views.lifecycle.show import lifecycle_picture, show_lifecycle
from workbench.views.model_requests import model_request_rows, show_model_requests
from workbench.views.session import show_history, show_turns
from workbench.views.state import show_state, state_rows
from workbench.views.state_changes import show_state_changes, state_change_rows, state_of
from workbench.views.steps import show_steps, step_rows
from workbench.views.timeline.show import (
    cleanup_rows,
    show_timeline,
    timeline_picture,
    timeline_rows,
)
from workbench.views.tree import tree_rows
from workbench.views.tree_picture import show_tree, tree_picture
from workbench.views.ui import show_ui
from workbench.views.watch.show import watch_tree

__all__ = [
    "cleanup_rows",
    "invocation_rows",
    "journal_rows",
    "lane_rows",
    "lifecycle_picture",
    "lifecycle_rows",
    "model_request_rows",
    "show_history",
    "show_invocations",
    "show_journal",
    "show_lanes",
    "show_lifecycle",
    "show_model_requests",
    "show_state",
    "show_state_changes",
    "show_steps",
    "show_timeline",
    "show_tree",
    "show_turns",
    "show_ui",
    "state_change_rows",
    "state_of",
    "state_rows",
    "step_rows",
    "timeline_picture",
    "timeline_rows",
    "tree_picture",
    "tree_rows",
    "watch_tree",
]
