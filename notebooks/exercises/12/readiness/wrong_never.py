# ✗ All nodes are there, and it says: not ready.
def my_readiness(ingress) -> bool:
    try:
        ingress.call("Readiness", "ping", key="any", timeout=2)
    except wb.WorkbenchError:
        return False
    return True
