"""Django's entries to the staff desk: the app, and the admin site that it configures."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AdminpanelConfig(AppConfig):
    name = "adminpanel"
    default = True


class StaffSite(admin_apps.AdminConfig):
    default_site = "adminpanel.site.StaffAdminSite"
    default = False
