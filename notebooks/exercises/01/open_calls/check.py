"""Runs a query on a session with calls over, running, queued and delayed, beside a neighbour."""

from restate import ObjectContext, VirtualObject

import workbench as wb

SERVICE = "OpenCalls"


def check(sql: object, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    calls = VirtualObject(SERVICE)

    @calls.handler()
    async def work(ctx: ObjectContext, text: str) -> str:
        return await ctx.run_typed("ask the model", wb.ask, prompt=f"{ctx.key()} {text}")

    wb.serve(calls)
    session = wb.new_key("mine")
    neighbour = f"{session}0"
    model.hold(session)
    over = ingress.send(SERVICE, "work", "over", key=session)
    model.wait_held(f"{session} over")
    sent = {
        what: ingress.send(SERVICE, "work", what, key=key)
        for key, what in [(neighbour, "another"), (session, "runs")]
    }
    sent["later"] = ingress.send(SERVICE, "work", "later", key=session, delay=3600)
    sent["waits"] = ingress.send(SERVICE, "work", "waits", key=session)
    model.release(f"{session} over")  # so the first of them changed last
    ingress.attach(over)
    model.wait_held(f"{session} runs")
    model.wait_held(f"{neighbour} another")
    try:
        rows = admin.query(str(sql).replace("{session}", session))
    finally:
        model.release(session)
        admin.cancel(sent["later"])
        for id in (sent[what] for what in ("another", "runs", "waits")):
            ingress.attach(id)
    found = [row.get("id") for row in rows]
    picture = "\n".join(f"  {row}" for row in rows[:5])
    if sent["another"] in found:
        law = "Too many rows: the query finds a call of another session."
        raise wb.Wrong(law, picture=picture, question=f"Their keys: {session} and {neighbour}.")
    if len(found) > 3:
        law = "Too many rows: the query finds calls that are over."
        raise wb.Wrong(law, picture=picture, question="Which status do they have?")
    if sent["waits"] not in found:
        law = "Too few rows: the query does not find the call that waits for its turn."
        raise wb.Wrong(law, picture=picture, question="Which status does it have?")
    if sent["later"] not in found:
        law = "Too few rows: the query does not find the call that is due in an hour."
        raise wb.Wrong(law, picture=picture, question="Which one status does no open call have?")
    if found != [sent["runs"], sent["later"], sent["waits"]]:
        law = "The rows are not the three open calls, oldest first."
        raise wb.Wrong(law, picture=picture, question="Does the query select ids, in order?")
    return "It finds what runs and what waits, and nothing of the session next door."
