"""Django's entry to the billing app."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"

    def ready(self) -> None:
        """Let the inbox know what events lead to, teams why they must stay, and the account what is held of it."""
        from accounts import belongings, teams
        from billing import effects, holders, own_belongings, payers

        effects.connect()
        teams.before_delete(holders.keep_subscribed)
        teams.on_transfer(payers.tell_of_transfer)
        belongings.held_by(own_belongings.HOLDER)
