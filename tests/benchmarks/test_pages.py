"""The pages' client: every answer counts, and one that is not 200 ends the measurement."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from benchmarks.pages import PagesFailed, measure


class Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one segment: two would wait for each other

    def do_GET(self) -> None:
        known = self.headers["Cookie"] == "session=abc" and self.path != "/gone"
        body = b"x" * 1234
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def seeded(path: str, cookie: str = "session=abc") -> dict[str, object]:
    return {"cookie": cookie, "paths": {"page": path}, "queries": {"page": 7}, "queries_small": {"page": 5}}


def test_a_page_is_asked_with_the_session_and_weighed(port: int) -> None:
    (page,) = measure(port, seeded("/c/1"), ())
    assert (page.name, page.size, page.queries, page.queries_small) == ("page", 1234, 7, 5)
    assert 0 < page.p50 <= page.p95


@pytest.mark.parametrize(("path", "cookie"), [("/gone", "session=abc"), ("/c/1", "session=other")])
def test_a_page_that_is_refused_is_not_measured(port: int, path: str, cookie: str) -> None:
    with pytest.raises(PagesFailed, match="answered 404"):
        measure(port, seeded(path, cookie), ())
