"""Django's entry to the accounts app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import checks, journal
        from oneai.kit import logs, schema

        logs.configure()
        journal.listen()
        checks.register()
        pre_migrate.connect(schema.prepare, sender=self)
        post_migrate.connect(schema.protect)
