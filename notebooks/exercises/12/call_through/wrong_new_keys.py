# ✗ One message was noted more than once.
def my_call(ingress, chat: str, number: int) -> int:
    for attempt in range(99):
        key = f"{chat} {number} {attempt}"
        try:
            return ingress.call(
                "CallThrough", "add", number, key=chat, idempotency_key=key, timeout=0.5
            )
        except wb.IngressError:
            raise
        except wb.WorkbenchError:
            continue
