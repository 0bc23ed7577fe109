# ✗ Too many rows: the query finds a call of another session.
my_sql = """
    SELECT id FROM sys_invocation
    WHERE target LIKE '%{session}%' AND status <> 'completed'
    ORDER BY created_at
"""
