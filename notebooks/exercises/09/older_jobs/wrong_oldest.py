# ✗ One that should go is not selected.
def my_older(service: str, tenant: str, other: str) -> str:
    mine, theirs = f"target LIKE '{service}/{tenant}-%'", f"target LIKE '{service}/{other}-%'"
    oldest = f"SELECT min(created_at) FROM sys_invocation WHERE {theirs}"
    return f"""
        SELECT id FROM sys_invocation
        WHERE {mine} AND status <> 'completed' AND created_at < ({oldest})"""
