# ✗ The deployment was removed while a call of it was at work.
def my_removal(admin, deployment: str) -> None:
    print("removing", deployment)
    admin.delete(f"/deployments/{deployment}", force=True)
