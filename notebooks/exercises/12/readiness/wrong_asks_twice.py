# ✗ Two of three nodes are dead, and it says: ready.
def my_readiness(ingress) -> bool:
    try:
        ingress.request("GET", "/restate/health", timeout=1)
        ingress.request("GET", "/restate/health", timeout=1)
    except wb.WorkbenchError:
        return False
    return True
