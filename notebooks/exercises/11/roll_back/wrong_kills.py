# ✗ A digest that v2 had begun failed: [409] killed.
def my_rollback(admin, old_uri: str, new: str) -> None:
    admin.register(old_uri, force=True)
    sql = f"SELECT id FROM sys_invocation WHERE pinned_deployment_id = '{new}'"
    for row in admin.query(f"{sql} AND status <> 'completed'", echo=False):
        admin.kill(row["id"])
