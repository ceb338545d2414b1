"""Where files are stored: what the setting may say, and a store that speaks S3, over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.utils.module_loading import import_string

from oneai.settings import storage

USUAL = Path("/usual")


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as a store of files needs; a request that is not signed is refused."""

    kept: dict[str, bytes]

    def do_PUT(self) -> None:
        self.kept[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200 if self._signed() else 403)

    def do_GET(self) -> None:
        found = self.kept.get(self.path)
        self._answer(404 if found is None else 200, found or b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.kept.pop(self.path, None)
        self._answer(204)

    def _signed(self) -> bool:
        return "Credential=key/" in self.headers.get("Authorization", "")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"x"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def bucket() -> Iterator[tuple[str, dict[str, bytes]]]:
    """The address of a store, and what is in it."""
    handler = type("Own", (Bucket,), {"kept": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"s3://key:se%2Fcret@127.0.0.1:{server.server_port}/files?tls=0", handler.kept
    server.shutdown()
    server.server_close()


def test_a_store_that_speaks_s3_keeps_gives_and_removes(bucket: tuple[str, dict[str, bytes]]) -> None:
    url, kept = bucket
    entry = storage.private(url, USUAL)
    files = import_string(entry["BACKEND"])(**entry["OPTIONS"])
    assert files.save("attachments/ab/one", ContentFile(b"words")) == "attachments/ab/one"
    assert kept == {"/files/attachments/ab/one": b"words"}
    with files.open("attachments/ab/one") as file:
        assert file.read() == b"words"
    files.delete("attachments/ab/one")
    files.delete("attachments/ab/one")
    assert kept == {}


@pytest.mark.parametrize(
    ("url", "folder"),
    [("", USUAL), ("/srv/files", Path("/srv/files")), ("file:///srv/my%20files", Path("/srv/my files"))],
)
def test_a_folder_is_private(url: str, folder: Path) -> None:
    options = storage.private(url, USUAL)["OPTIONS"]
    assert (options["location"], options["file_permissions_mode"]) == (folder, 0o600)


@pytest.mark.parametrize(
    "url",
    ["files", "s3://host/bucket", "s3://key:secret@host", "s3://key:secret@host/a/b", "s3://k:s@host:x/b", "ftp://a/b"],
)
def test_what_names_no_place_is_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="STORAGE_URL"):
        storage.private(url, USUAL)
