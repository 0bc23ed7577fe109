# ✗ Two messages became one turn.
def my_send(post, text: str):
    for _ in range(3):
        try:
            return post(text, idempotency_key=text)
        except ConnectionError:
            continue
    raise ConnectionError("three answers were lost")
