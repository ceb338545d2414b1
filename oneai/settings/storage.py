"""Where the files of people are: a folder, or a store that speaks S3, by ``STORAGE_URL``."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def private(url: str, usual: Path) -> dict[str, Any]:
    """The entry of ``STORAGES`` for ``url``; ``usual`` is the folder when it is empty.

    ``/a/folder`` or ``file:///a/folder``, or ``s3://KEY:SECRET@HOST/BUCKET?region=R&tls=0``.
    """
    parts = urlsplit(url)
    if parts.scheme in {"", "file"}:
        folder = Path(unquote(parts.path)) if url else usual
        if not folder.is_absolute() or parts.netloc:
            raise ImproperlyConfigured("STORAGE_URL must be an absolute folder, or s3://KEY:SECRET@HOST/BUCKET")
        options = {"location": folder, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    bucket = parts.path.strip("/")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme != "s3" or not all((parts.hostname, parts.username, parts.password, bucket)) or "/" in bucket:
        raise ImproperlyConfigured("STORAGE_URL must be an absolute folder, or s3://KEY:SECRET@HOST/BUCKET")
    if port == -1:
        raise ImproperlyConfigured("STORAGE_URL has a port that is none")
    from botocore.config import Config  # half a second, which only those pay who have such a store

    more = parse_qs(parts.query)
    host = f"{parts.hostname}:{port}" if port else parts.hostname
    return {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "access_key": unquote(parts.username or ""),
            "secret_key": unquote(parts.password or ""),
            "bucket_name": bucket,
            "endpoint_url": f"{'http' if more.get('tls') == ['0'] else 'https'}://{host}",
            "region_name": more.get("region", ["us-east-1"])[0],
            "default_acl": None,
            "file_overwrite": True,
            # Not every store knows the checksums that Amazon's own has learnt since.
            "client_config": Config(
                s3={"addressing_style": "path"},
                signature_version="s3v4",
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        },
    }
