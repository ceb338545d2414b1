"""Django's entry to the quotas app."""

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    name = "quotas"
