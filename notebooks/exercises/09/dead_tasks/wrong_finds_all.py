# ✗ A session whose task is at work would be freed.
def my_sessions(admin, service: str) -> list[str]:
    rows = admin.query(f"""
        SELECT service_key FROM state
        WHERE service_name = '{service}' AND key = 'current'""")
    return [row["service_key"] for row in rows]
