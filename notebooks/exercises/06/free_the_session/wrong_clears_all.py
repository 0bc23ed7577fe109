# ✗ The session is free, and has lost 3 of the 3 values that are its own.
def my_free(admin, service: str, chat: str) -> None:
    admin.post(f"/services/{service}/state", {"object_key": chat, "new_state": {}})
