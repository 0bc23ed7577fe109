# ✗ A message got no answer, and nobody asked again.
def my_call(ingress, chat: str, number: int) -> int:
    key = f"{chat} {number}"
    return ingress.call("CallThrough", "add", number, key=chat, idempotency_key=key, timeout=0.5)
