"""Django's entry to the accounts app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import belongings, checks, journal, own_belongings
        from oneai.kit import logs, schema

        logs.configure()
        journal.listen()
        checks.register()
        belongings.held_by(own_belongings.HOLDER)
        pre_migrate.connect(schema.prepare, sender=self)
        post_migrate.connect(schema.protect)
