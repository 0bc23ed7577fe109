def my_readiness(ingress) -> bool:
    try:
        ingress.request("GET", "/restate/health", timeout=2)
    except wb.WorkbenchError:
        return False
    return True
