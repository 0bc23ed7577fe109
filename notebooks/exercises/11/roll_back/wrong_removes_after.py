# ✗ A digest that v2 had begun is paused.
def my_rollback(admin, old_uri: str, new: str) -> None:
    admin.register(old_uri, force=True)
    admin.delete(f"/deployments/{new}", force=True)
