"""Django's entries to the staff desk: the app, and the admin site that it configures."""

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AdminpanelConfig(AppConfig):
    name = "adminpanel"
    default = True


class StaffSite(AdminConfig):
    default_site = "adminpanel.site.StaffAdminSite"
    default = False
