"""Breaks off an attempt in the middle of a payment, then pays another order of the same amount."""

import asyncio
from typing import Any
from uuid import UUID

from restate import Context, Service, TerminalError

import workbench as wb
from workbench.checks import fresh, steps

SERVICE = "ChargeOnce"


def check(pay: Any, bench: wb.Bench) -> str:
    shop = Service(SERVICE)
    ledger: list[str] = []
    broken_off = asyncio.Event()
    pay = fresh(pay)

    async def charge(amount: int, key: object) -> str:
        if not isinstance(key, str | UUID):
            raise TerminalError(f"the key of a charge is a text, not {key!r}")
        ledger.append(str(key))
        if not broken_off.is_set():
            broken_off.set()
            wb.cut_off()
            await asyncio.sleep(60)  # it is cancelled before
        return f"paid {amount}"

    @shop.handler("pay")
    async def handler(ctx: Context, amount: int) -> str:
        paid: str = await pay(ctx, amount, charge)
        return paid

    wb.serve(shop)

    def order() -> list[str]:
        """Pay an order; return the steps of that."""
        sent = bench.ingress.send(SERVICE, "pay", 20)
        try:
            bench.ingress.attach(sent, timeout=4)
        except wb.IngressError as error:
            raise wb.Wrong(f"The payment failed: {error.message}.") from None
        return steps(bench.admin, sent)

    taken = order()
    first = set(ledger)
    taken = order() and taken
    if len(first) > 1:
        raise wb.Wrong(
            "The card was charged twice.",
            picture="\n".join(f"  charge {n}: key {key}" for n, key in enumerate(ledger, 1)),
            question="Why did the second attempt come up with another key?",
        )
    if len(set(ledger)) < 2:
        raise wb.Wrong(
            f"Two orders were paid with {'one' if ledger else 'no'} charge.",
            picture="\n".join(f"  charge {n}: key {key}" for n, key in enumerate(ledger, 1)),
            question="What is different about two orders of the same amount?",
        )
    if not taken:
        raise wb.Wrong(
            "The charge is no step: the journal does not know of it.",
            question="What would a crash just after the charge cost?",
        )
    return f"The shop was asked {len(ledger)} times, and counted two charges for two orders."
