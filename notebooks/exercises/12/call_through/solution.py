def my_call(ingress, chat: str, number: int) -> int:
    key = f"{chat} {number}"
    while True:
        try:
            return ingress.call(
                "CallThrough", "add", number, key=chat, idempotency_key=key, timeout=0.5
            )
        except wb.IngressError as error:
            if error.status_code <= 500:
                raise
        except wb.WorkbenchError:
            continue
