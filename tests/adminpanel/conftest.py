"""Accounts to use up, as the tests of quotas have them."""

from tests.quotas.conftest import new_purse, purse

__all__ = ["new_purse", "purse"]
