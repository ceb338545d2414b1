"""Faults ordered for coming calls of the API."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

from .refusals import EDGE_PAGE, UNKNOWN_URL, Refused

FAULTS = {
    "401": "the key is not accepted",
    "429": "too many requests, with Retry-After: 1",
    "500": "server error",
    "502-html": "a page of the edge instead of JSON",
    "503": "unavailable",
    "504": "gateway time-out",
    "url-not-found": "400, as when subscriptions are not switched on",
    "timeout": "no answer for `seconds`, then the connection ends; nothing was done",
    "lost": "it is done, then no answer for `seconds` and the connection ends",
    "reset": "the connection is reset; nothing was done",
    "lost-reset": "it is done, then the connection is reset",
    "lost-500": "it is done, and answered 500",
    "slow": "it is done and answered after `seconds`",
    "garbage": "it is done, and answered with broken JSON",
}
AFTER = ("lost", "lost-reset", "lost-500", "slow", "garbage")


@dataclass(slots=True)
class Fault:
    """One order: what shall happen to which calls, how often."""

    name: str
    method: str
    path: str
    times: int
    every: int = 1
    after: int = 0
    seconds: float = 30.0
    seen: int = 0

    def as_json(self) -> dict[str, Any]:
        """The order as it stands."""
        return {name: getattr(self, name) for name in Fault.__dataclass_fields__}

    def meets(self, method: str, path: str) -> bool:
        """Whether this call is one of those meant; counts them."""
        if self.method not in ("*", method) or not fnmatch.fnmatchcase(path, self.path):
            return False
        self.seen += 1
        counted = self.seen - self.after
        return counted > 0 and counted % self.every == 0


def take(faults: list[Fault], method: str, path: str) -> Fault | None:
    """The fault for this call, counted down."""
    for fault in list(faults):
        if fault.meets(method, path):
            fault.times -= 1
            if fault.times <= 0:
                faults.remove(fault)
            return fault
    return None


def refusal(name: str) -> Refused | None:
    """The answer of a fault that is an answer in JSON."""
    match name:
        case "401":
            return Refused("Authentication failed", status=401)
        case "429":
            return Refused("Request failed. Please try after sometime.", status=429)
        case "500" | "lost-500":
            text = "We are facing some trouble completing your request at the moment. Please try again shortly."
            return Refused(text, status=500, code="SERVER_ERROR")
        case "503":
            return Refused("The server is unavailable", status=503, code="SERVER_ERROR")
        case "504":
            return Refused("The gateway did not answer in time", status=504, code="GATEWAY_ERROR")
        case "url-not-found":
            return Refused(UNKNOWN_URL)
    return None


PAGES = {"502-html": (502, EDGE_PAGE)}
