def my_rollback(admin, old_uri: str, new: str) -> None:
    admin.register(old_uri, force=True)  # the latest again; v2 stays for what it has begun
