my_sql = "SELECT id FROM sys_invocation"  # your code: {session} stands for the session's key
