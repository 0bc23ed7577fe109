def my_send(post, text: str):
    for _ in range(3):
        try:
            return post(text, idempotency_key=str(uuid.uuid4()))
        except ConnectionError:
            continue  # the answer was lost: try again
    raise ConnectionError("three answers were lost")
