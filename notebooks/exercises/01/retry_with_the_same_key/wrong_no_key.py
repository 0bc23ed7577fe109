# ✗ One message became two turns.
def my_send(post, text: str):
    for _ in range(3):
        try:
            return post(text, idempotency_key=None)
        except ConnectionError:
            continue
    raise ConnectionError("three answers were lost")
