# ✗ A call that was at work ended: [409] killed.
def my_removal(admin, deployment: str) -> None:
    sql = "SELECT id FROM sys_invocation WHERE status <> 'completed'"
    sql = f"{sql} AND pinned_deployment_id = '{deployment}'"
    for row in admin.query(sql, echo=False):
        admin.kill(row["id"])
    admin.delete(f"/deployments/{deployment}", force=True)
