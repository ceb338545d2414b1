"""Django's entry to the billing app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        """Let the inbox know what events lead to, and teams why they must stay."""
        from accounts import teams
        from billing import effects, holders, payers

        effects.connect()
        teams.before_delete(holders.keep_subscribed)
        teams.on_transfer(payers.tell_of_transfer)
