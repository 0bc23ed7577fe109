def my_readiness(ingress) -> bool:
    try:
        ingress.call("Readiness", "ping", timeout=2)
    except wb.WorkbenchError:
        return False
    return True
