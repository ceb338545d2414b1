"""Passwords at the least cost: the product's own hasher, for accounts that live as long as a test."""

from __future__ import annotations

from django.contrib.auth.hashers import Argon2PasswordHasher


def hash_quickly() -> None:
    """From now on this process hashes in microseconds. A site that sees such a hash takes it and makes it anew."""
    Argon2PasswordHasher.time_cost = 1
    Argon2PasswordHasher.memory_cost = 8
    Argon2PasswordHasher.parallelism = 1
