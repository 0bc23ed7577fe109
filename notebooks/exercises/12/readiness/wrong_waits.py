# ✗ Two of three nodes are dead, and after 3 s it has not said a word.
def my_readiness(ingress) -> bool:
    try:
        ingress.call("Readiness", "ping")
    except wb.WorkbenchError:
        return False
    return True
