"""The statuses of an invocation, and the way that one of them took through them."""
