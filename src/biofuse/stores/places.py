"""Stub."""

import os
from typing import Any

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl", "http", "https", "file")


def open_place(url: str, options: dict[str, Any]) -> Any:
    import obstore.store

    options = {"retry_config": {"max_retries": 0}, **options}
    if url.startswith("http://") or os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        options.setdefault("client_options", {"allow_http": True})
    return obstore.store.from_url(url, **options)


def explain(error: BaseException, url: str) -> str:
    return " ".join(str(error).split())[:300]
