# ✗ The session is free, and has lost 2 of its 3 own values.
def my_free(admin, service: str, chat: str) -> None:
    state = {row["key"]: row["value"] for row in wb.state_rows(admin, service, chat)}
    kept = {"language": state["language"]}
    admin.post(f"/services/{service}/state", {"object_key": chat, "new_state": kept})
