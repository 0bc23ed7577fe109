"""A tree at work, followed in place: its statuses, and the tokens as they come."""
