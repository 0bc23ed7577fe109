def my_rollback(admin, old_uri: str, new: str) -> None:
    admin.delete(f"/deployments/{new}", force=True)
    admin.register(old_uri)
