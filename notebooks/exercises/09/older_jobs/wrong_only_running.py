# ✗ One that should go is not selected.
def my_older(service: str, tenant: str, other: str) -> str:
    mine, theirs = f"target LIKE '{service}/{tenant}-%'", f"target LIKE '{service}/{other}-%'"
    newest = f"SELECT max(created_at) FROM sys_invocation WHERE {theirs}"
    return f"""
        SELECT id FROM sys_invocation
        WHERE {mine} AND status = 'running' AND created_at < ({newest})"""
