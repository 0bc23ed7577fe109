# ✗ Of 12 messages, 1 was noted.
def my_call(ingress, chat: str, number: int) -> int:
    while True:
        try:
            return ingress.call(
                "CallThrough", "add", number, key=chat, idempotency_key=chat, timeout=0.5
            )
        except wb.IngressError as error:
            if error.status_code <= 500:
                raise
        except wb.WorkbenchError:
            continue
