# ✗ The rows are not the three open calls, oldest first.
my_sql = """
    SELECT id FROM sys_invocation
    WHERE target_service_key = '{session}' AND status <> 'completed'
    ORDER BY modified_at
"""
