# ✗ A new digest was made by v2.
def my_rollback(admin, old_uri: str, new: str) -> None:
    admin.register(old_uri)
