# ✗ One message was noted more than once.
def my_call(ingress, chat: str, number: int) -> int:
    while True:
        try:
            return ingress.call("CallThrough", "add", number, key=chat, timeout=0.5)
        except wb.IngressError:
            raise
        except wb.WorkbenchError:
            continue
