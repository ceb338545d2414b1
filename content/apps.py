"""Django's entry to the content app."""

from django.apps import AppConfig


class ContentConfig(AppConfig):
    name = "content"

    def ready(self) -> None:
        from accounts import belongings
        from content import own_belongings

        belongings.held_by(own_belongings.HOLDER)
