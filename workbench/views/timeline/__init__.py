"""When what happened in trees of invocations: as a picture, as text, as rows."""
