"""Whether the committed outputs of the lessons are still what the lessons print."""
