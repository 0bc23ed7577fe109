# ✗ The session is free, and has lost: language, topic.
def my_free(admin, service: str, chat: str) -> None:
    admin.post(f"/services/{service}/state", {"object_key": chat, "new_state": {}})
