# ✗ Too few rows: the query does not find the call that waits for its turn.
my_sql = """
    SELECT id FROM sys_invocation
    WHERE target_service_key = '{session}' AND status = 'running'
    ORDER BY created_at
"""
