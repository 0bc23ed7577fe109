"""Breaks off an attempt in the middle of a payment, then pays another order of the same amount."""

import asyncio
from typing import Any

from restate import Context, Service

import workbench as wb

SERVICE = "ChargeOnce"


def check(pay: Any, bench: wb.Bench) -> str:
    shop = Service(SERVICE)
    ledger: list[str] = []
    broken_off = asyncio.Event()

    async def charge(amount: int, key: object) -> str:
        if key is ... or not isinstance(key, str):
            raise TypeError(f"the key of a charge is a text, not {key!r}")
        ledger.append(key)
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
    bench.ingress.call(SERVICE, "pay", 20, timeout=10)
    first = set(ledger)
    bench.ingress.call(SERVICE, "pay", 20, timeout=10)
    if len(first) > 1:
        raise wb.Wrong(
            "The card was charged twice.",
            picture="\n".join(f"  charge {n}: key {key}" for n, key in enumerate(ledger, 1)),
            question="Why did the second attempt come up with another key?",
        )
    if len(set(ledger)) < 2:
        raise wb.Wrong(
            "Two orders were paid with one charge.",
            picture="\n".join(f"  charge {n}: key {key}" for n, key in enumerate(ledger, 1)),
            question="What is different about two orders of the same amount?",
        )
    return f"The shop was asked {len(ledger)} times, and counted two charges for two orders."
