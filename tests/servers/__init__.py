"""Real servers for tests, started and ended with the run: databases, sandbox and site."""
