"""Django's entry to the quotas app."""

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    name = "quotas"

    def ready(self) -> None:
        from accounts import teams
        from quotas import allowances

        teams.on_membership(allowances.follow_membership)
