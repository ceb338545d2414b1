"""The table of the hot routes: what the URL conf does not show."""

from __future__ import annotations

from django.urls import path

from billing import webhooks
from chat import answer_again, openai_compat, quoting, sse
from chat.consumers import ChatConsumer
from oneai.kit.hot import Route

ROUTES = [
    Route("POST", "/api/chat/stream", sse.send_message),
    Route("GET", "/api/chat/stream/{turn_id}", sse.resume),
    Route("POST", "/api/chat/stream/{turn_id}/stop", sse.stop),
    Route("POST", "/api/chat/quote", quoting.quote),
    Route("POST", "/api/messages/{message_id}/regenerate", answer_again.regenerate),
    Route("POST", "/api/messages/{message_id}/continue", answer_again.go_on),
    Route("POST", "/v1/chat/completions", openai_compat.chat_completions),
    Route("POST", "/api/webhooks/razorpay", webhooks.razorpay, open=True),
    Route("POST", "/api/subscription/webhook", webhooks.razorpay, open=True),
]

SOCKETS = [path("ws/chat", ChatConsumer.as_asgi())]
