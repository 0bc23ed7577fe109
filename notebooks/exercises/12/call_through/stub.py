def my_call(ingress, chat: str, number: int) -> int:
    return ingress.call("CallThrough", "add", number, key=chat, timeout=0.5)  # your code
