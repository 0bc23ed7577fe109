def my_older(service: str, tenant: str, other: str) -> str:
    mine = f"target LIKE '{service}/{tenant}-%'"
    return f"SELECT id FROM sys_invocation WHERE {mine}"  # your code: which of them?
