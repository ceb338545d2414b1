"""Django's entry to the chat app."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        from accounts import belongings
        from chat import own_belongings

        belongings.held_by(own_belongings.HOLDER)
