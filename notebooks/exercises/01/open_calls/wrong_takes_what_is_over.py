# ✗ Too many rows: the query finds calls that are over.
my_sql = "SELECT id FROM sys_invocation WHERE target_service_key = '{session}' ORDER BY created_at"
