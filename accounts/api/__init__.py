"""The HTTP API about the person who asks."""
