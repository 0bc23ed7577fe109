"""Every factual statement of the two reference texts, and a probe for each.

`claims.toml` says what is known, the `test_*.py` files look whether it is so, and
`./scripts/claims` shows it, also for other versions of the server and the SDK.
"""
