"""Django's entry to the chat app."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    name = "chat"
