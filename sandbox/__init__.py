"""Real Docker hosts for the course's notebooks."""
