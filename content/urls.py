"""Addresses of the site's own pages."""

from __future__ import annotations

from django.urls import path

from content import views

urlpatterns = [
    path("", views.landing, name="landing"),
]
