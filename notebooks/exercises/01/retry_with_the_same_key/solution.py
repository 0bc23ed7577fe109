def my_send(post, text: str):
    key = str(uuid.uuid4())  # of this message, for all its attempts
    for _ in range(3):
        try:
            return post(text, idempotency_key=key)
        except ConnectionError:
            continue  # the answer was lost: try again
    raise ConnectionError("three answers were lost")
