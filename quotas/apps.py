"""Django's entry to the quotas app."""

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    name = "quotas"

    def ready(self) -> None:
        from accounts import belongings, teams
        from quotas import allowances, own_belongings

        teams.on_membership(allowances.follow_membership)
        belongings.held_by(own_belongings.HOLDER)
