def my_removal(admin, deployment: str) -> None:
    sql = "SELECT id FROM sys_invocation WHERE status <> 'completed'"
    sql = f"{sql} AND pinned_deployment_id = '{deployment}'"
    wb.wait_until(lambda: not admin.query(sql, echo=False), what="it to be drained", timeout=60)
    admin.delete(f"/deployments/{deployment}", force=True)
