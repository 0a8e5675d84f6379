"""How errors leave: without a traceback of what is inside."""

import contextlib
from collections.abc import Iterator

from biofuse.errors import BiofuseError
from biofuse.stores.secrets import redact


@contextlib.contextmanager
def public() -> Iterator[None]:
    """Raise errors of a block anew, of which nothing is told but the line and the errno."""
    said = None
    try:
        yield
    except BiofuseError as error:
        said = BiofuseError(redact(str(error)), error.errno)
    if said is not None:
        raise said from None
