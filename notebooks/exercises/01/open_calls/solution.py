my_sql = """
    SELECT id FROM sys_invocation
    WHERE target_service_key = '{session}' AND status <> 'completed'
    ORDER BY created_at
"""
