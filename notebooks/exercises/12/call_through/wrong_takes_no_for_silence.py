# ✗ A message was refused, and sent again and again.
def my_call(ingress, chat: str, number: int) -> int:
    key = f"{chat} {number}"
    while True:
        try:
            return ingress.call(
                "CallThrough", "add", number, key=chat, idempotency_key=key, timeout=0.5
            )
        except wb.WorkbenchError:
            continue
