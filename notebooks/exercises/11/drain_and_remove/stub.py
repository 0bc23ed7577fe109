def my_removal(admin, deployment: str) -> None:
    ...  # your code: wait
    admin.delete(f"/deployments/{deployment}", force=True)
