"""What people set about their chats, below /api/user/. No key gets here: tests/accounts tries who may."""

from django.urls import path

from chat.api import preference_views

urlpatterns = [path("preferences", preference_views.PreferencesView.as_view())]
