"""Every factual statement of the two reference texts, and a test that decides it.

`claims.toml` says what is known, the `test_*.py` files observe whether it is so, and
`./scripts/claims` shows it, also for other versions of the server and the SDK.
"""
