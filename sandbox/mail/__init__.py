"""A mail server that keeps what it gets in memory, and pages to read it."""
