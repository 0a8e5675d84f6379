"""What may go wrong with a request that a proxy passes on."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from support.traffic import Request

# Bytes in place of those that a body begins with: of no frame's head, and of no block's size.
GARBLED = b"\xff" * 16
# What servers write, of S3's form.
_CODES = {
    400: "ExpiredToken",
    401: "Unauthorized",
    403: "AccessDenied",
    404: "NoSuchKey",
    412: "PreconditionFailed",
    416: "InvalidRange",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}


@dataclass
class Fault:
    """A rule: what is made of some requests.

    Attributes
    ----------
    kind : str
        answer
            `status` is answered, with an error document of S3's form, whose code is `code`.
        reset
            The connection is reset before anything is answered, or, where `after` is told,
            when that many bytes of the body have been sent.
        stall
            For `seconds` nothing is sent: before the answer or, where `after` is told, when that
            many bytes of the body have been sent. Then it goes on.
        truncate
            The connection is closed, in all order, after `after` bytes of the body, by
            default half of them; the header has told of all.
        short
            No more than `after` bytes of the body come, by default half of them, and the header
            tells of no more; the ETag is the object's.
        garble
            The first bytes of the body are others, see `GARBLED`; the ETag is the object's.
        whole
            The range asked for is not heeded: the whole object comes with status 200.
        changed
            The object has the ETag `etag`: answers tell it, and who wants another one
            (If-Match) is told 412.
        call
            `call` is called, in the proxy's thread, before the request is passed on.
    path : str
        Of which requests: those whose path is like this pattern of a shell.
    method : str or None
        And have this method.
    skip : int
        So many of them go through unharmed first.
    times : int or None
        To so many it happens; None: to all that follow.
    """

    kind: str
    path: str = "*"
    method: str | None = None
    skip: int = 0
    times: int | None = 1
    status: int = 503
    code: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after: int | None = None
    seconds: float = 0.0
    etag: str = '"0123456789abcdef"'
    call: Callable[[], object] | None = None
    seen: int = 0
    happened: int = 0

    def applies(self, request: Request) -> bool:
        """Whether it happens to this request; counts it."""
        if self.method not in (None, request.method) or not fnmatchcase(request.path, self.path):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.happened >= self.times):
            return False
        self.happened += 1
        return True

    def stop(self, size: int) -> int:
        """Where in a body of so many bytes it lies."""
        return size // 2 if self.after is None else min(self.after, size)

    @property
    def name(self) -> str:
        """What a log calls it."""
        place = "" if self.after is None or self.kind == "truncate" else " in the body"
        return str(self.status) if self.kind == "answer" else f"{self.kind}{place}"


_ids = itertools.count(1)


def error_answer(status: int, code: str | None = None) -> bytes:
    """The body that S3 sends with an error."""
    code = code or _CODES.get(status, "Error")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>injected: {code}</Message>"
        f"<RequestId>{next(_ids)}</RequestId></Error>"
    ).encode()
