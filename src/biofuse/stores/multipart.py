"""An object of S3 that several machines upload parts of.

Specification: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html. obstore
uploads what one process has; this is for parts that others have, through boto3.
"""

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from biofuse.errors import BiofuseError
from biofuse.stores.access import Given, is_yes, variable
from biofuse.stores.aws import s3_endpoint
from biofuse.stores.location import Location

LEAST_PART, MOST_PARTS = 5 << 20, 10_000


@dataclass(frozen=True)
class MultipartUpload:
    """An upload that was begun; a value that travels to other machines.

    Attributes
    ----------
    bucket, key, upload : str
    settings : dict
        What boto3's client is made with.
    """

    bucket: str
    key: str
    upload: str
    settings: dict[str, Any] = field(repr=False)

    @classmethod
    def begin(cls, place: Location, name: str) -> "MultipartUpload":
        """Begin to upload an object below a URL.

        Raises
        ------
        BiofuseError
            If it cannot be written, or is not one of S3.
        """
        path, options = place.joined()
        parts = urlsplit(path)
        if parts.scheme not in ("s3", "s3a"):
            raise BiofuseError(
                f"parts of objects are uploaded to s3:// only, not to {parts.scheme}://: leave out "
                "--dask, or write to a folder that all workers share"
            )
        settings = _settings(options)
        key = "/".join(word for word in (parts.path.strip("/"), name) if word)
        try:
            begun = _client(settings).create_multipart_upload(Bucket=parts.netloc, Key=key)
        except BiofuseError:
            raise
        except Exception as error:
            raise _failure(place, name, error) from error
        return cls(parts.netloc, key, begun["UploadId"], settings)

    def _words(self) -> dict[str, Any]:
        return {"Bucket": self.bucket, "Key": self.key, "UploadId": self.upload}

    def put(self, number: int, data: memoryview) -> dict[str, Any]:
        """Upload a part, of which the first is number 1; returns what `end` wants of it.

        Raises
        ------
        BiofuseError
            If that fails.
        """
        try:
            answer = _client(self.settings).upload_part(
                **self._words(), PartNumber=number, Body=bytes(data)
            )
        except Exception as error:
            raise BiofuseError(
                f"part {number} of s3://{self.bucket}/{self.key} cannot be written: {error}"
            ) from error
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def end(self, parts: list[dict[str, Any]]) -> None:
        """Make the object of its parts: from then on it is there.

        Raises
        ------
        BiofuseError
            If that fails.
        """
        ordered = sorted(parts, key=lambda part: part["PartNumber"])
        try:
            _client(self.settings).complete_multipart_upload(
                **self._words(), MultipartUpload={"Parts": ordered}
            )
        except Exception as error:
            raise BiofuseError(
                f"s3://{self.bucket}/{self.key} cannot be written: {error}"
            ) from error

    def abort(self) -> None:
        """Let go of the parts."""
        _client(self.settings).abort_multipart_upload(**self._words())


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Arguments of boto3's client, from those of obstore's store and from variables."""
    given = Given(options)
    found = {
        "endpoint_url": s3_endpoint(given),
        "region_name": given.get("region", "default_region")
        or variable("AWS_REGION", "AWS_DEFAULT_REGION"),
        "aws_access_key_id": given.get("access_key_id"),
        "aws_secret_access_key": given.get("secret_access_key"),
        "aws_session_token": given.get("session_token", "token"),
        "verify": not (
            is_yes(given.get("allow_invalid_certificates"))
            or is_yes(os.environ.get("AWS_ALLOW_INVALID_CERTIFICATES"))
        ),
    }
    return {name: value for name, value in found.items() if value is not None and value is not True}


def _client(settings: dict[str, Any]) -> Any:
    try:
        import boto3
    except ImportError:
        raise BiofuseError(
            "to upload parts from several machines takes boto3: pip install 'biofuse[dask]'"
        ) from None
    return boto3.session.Session().client("s3", **settings)


def _failure(place: Location, name: str, error: Exception) -> BiofuseError:
    return BiofuseError(f"{place.path.rstrip('/')}/{name} cannot be written: {error}")
