"""A coding agent that can be interrupted: four Restate services.

One message, from the ingress to the answer, and the interruption that may come in between:

    client ── CodingAgent.message            session.py    one at a time for each session
                 │ cancel the open tasks, attach to each until its whole tree is over
                 └─▶ CodingTask.run_task     task.py       begins, listens, reports
                        └ work(job, chat)    work.py       what it does; replace it
                            ├ plan           model.py      a model call, as a durable step
                            ├ approved       task.py       waits for a human, if asked to
                            ├ write_file ×n                one call per file, in parallel
                            │   ├ write      model.py
                            │   └─▶ Workspace.write_file   workspace.py, the draft
                            ├ review         model.py
                            └─▶ Workspace.commit           all files, or none
                        ⇢ UsageMeter.record  usage_meter.py   after each model call
                        ⇢ CodingAgent.task_finished           closes the turn

`─▶` waits for an answer, `⇢` does not. Each arrow is an invocation: 12 for a turn with two files.

* A task's result is its report. The session attaches to the task and reads how it ended, so there
  is no copy that could disagree, and a killed task needs nobody to report it.
* Whoever starts something leaves only after it has ended (`durable.py`), so that when `message`
  has attached, nothing of the old turn is at work.
* Restate retries what fails in this process. What fails at the model (`provider.py`) is retried
  with durable timers, which a cancellation can interrupt; then the task pauses (`admin.py`).

The work of a turn is one function. This one asks the model once, and is all the code that an agent
of your own needs besides `python -m agent`:

    from restate import Context
    from agent.contracts import ChatMessage, Result, Task, checked
    from agent.task import Job, coding_task, perform

    async def work(job: Job, conversation: list[ChatMessage]) -> str:
        return await job.ask("answer", conversation)

    @coding_task.handler(invocation_context_managers=checked(Task))
    async def run_task(ctx: Context, task: Task) -> Result:
        return await perform(ctx, task, work)

An operator may restart an old invocation from an entry of its journal (`restart-as-new?from=`).
For a handler of `CodingAgent` that would bring back old state, so its first command carries the id
of the invocation: Restate finds the journal not to match and ends the new one within two minutes.
Until then the session waits. Restarted without `from`, a message is a new message.
"""
