# ✗ The session is free, and has lost 3 of its 3 own values.
def my_free(admin, service: str, chat: str) -> None:
    admin.post(f"/services/{service}/state", {"object_key": chat, "new_state": {}})
