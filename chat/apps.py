"""Django's entry to the chat app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        from accounts import belongings
        from chat import own_belongings, search_schema

        belongings.held_by(own_belongings.HOLDER)
        post_migrate.connect(search_schema.install, sender=self)
