"""Ends the page in three ways, and then cancels the site itself."""

from collections.abc import Callable
from typing import Any

from restate import Context, Service, TerminalError

import workbench as wb
from workbench.checks import settle

SERVICE = "WhoseCancellation"


def check(my_publish: Any, bench: wb.Bench) -> str:
    _, model, admin, ingress = bench
    service = Service(SERVICE)

    @service.handler()
    async def publish(ctx: Context, site: str) -> str:
        answer: str = await my_publish(ctx, site, write)
        return answer

    @service.handler()
    async def write(ctx: Context, site: str) -> str:
        await ctx.run_typed("page", wb.ask, prompt=f"{site} page")
        if "good" in site:
            return "a page"
        raise TerminalError("no page came", 500)

    def ended(act: Callable[[str, str], None]) -> tuple[dict[str, Any], str]:
        """How the site ended after this was done to the site and its page; the picture of both."""
        site = wb.new_key("check")
        model.hold(site)
        top = ingress.send(SERVICE, "publish", site)
        model.wait_held(f"{site} page")
        child = wb.tree_rows(admin, top)[1]["id"]
        act(top, child)
        settle(bench, [SERVICE])
        model.release(site)
        settle(bench, [SERVICE])
        picture = wb.lanes(admin, [("site", top), ("page", child)])
        return admin.wait_for(top, "completed"), picture

    wb.serve(service)
    pages: dict[str, Callable[[str, str], None]] = {
        "Somebody killed the page": lambda _, page: admin.kill(page),
        "Somebody cancelled the page": lambda _, page: admin.cancel(page),
        "The page failed": lambda *_: None,
    }
    for what, act in pages.items():
        row, picture = ended(act)
        if row["completion_failure"]:
            raise wb.Wrong(
                f"{what}, and the site ended with {row['completion_failure']}.",
                picture=picture,
                question="Was the site ever told to stop? Look for ✕ in its lane.",
            )
    if ingress.call(SERVICE, "publish", wb.new_key("good")) != "a page":
        raise wb.Wrong("The page was written, and the site does not have it.")
    row, picture = ended(lambda site, _: admin.cancel(site))
    if row["completion_failure"] != "[409] cancelled":
        raise wb.Wrong(
            "The site was cancelled, and published an empty page all the same.",
            picture=picture,
            question="Which of your lines heard the site's own cancellation?",
        )
    return "Killed, cancelled or failed, a page costs the site a page; its own cancel ends it."
