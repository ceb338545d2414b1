"""Whether the server of this container answers: exit status 0 or 1, for the image's HEALTHCHECK."""

from __future__ import annotations

import http.client
import os
import sys


def healthy(port: int, host: str) -> bool:
    """Whether /healthz says 200 to a request that looks like one that came through the proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz", headers={"Host": host, "X-Forwarded-Proto": "https"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    hosts = os.environ.get("ALLOWED_HOSTS", "").split(",")
    sys.exit(0 if healthy(int(os.environ.get("PORT") or 8000), hosts[0].strip().lstrip(".") or "localhost") else 1)
