def my_sessions(admin, service: str) -> list[str]:
    rows = admin.query(f"""
        SELECT s.service_key FROM state s
        JOIN sys_invocation i ON i.id = btrim(s.value_utf8, '"')
        WHERE s.service_name = '{service}' AND s.key = 'current'""")
    return [row["service_key"] for row in rows]
