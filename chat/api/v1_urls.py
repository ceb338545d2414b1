"""The OpenAI-compatible routes below /v1/. ``chat/completions`` stands in front of Django."""

from django.urls import path

from chat.api import openai_models

urlpatterns = [
    path("models", openai_models.OpenAIModels.as_view()),
    path("models/<path:model_id>", openai_models.OpenAIModel.as_view()),
]
