def my_free(admin, service: str, chat: str) -> None:
    state = {row["key"]: row["value"] for row in wb.state_rows(admin, service, chat)}
    kept = {key: value for key, value in state.items() if key not in ("current", "draft")}
    admin.post(f"/services/{service}/state", {"object_key": chat, "new_state": kept})
