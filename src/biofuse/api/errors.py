"""How errors leave: without a traceback of what is inside."""

import contextlib
import errno
from collections.abc import Iterator

from biofuse.errors import MOUNT_AGAIN, BiofuseError
from biofuse.stores.secrets import redact

# What is said of a store that was changed, in the words of those who have opened it.
_OPENED = (
    (MOUNT_AGAIN, "open it again, with a new plan where plan= was given"),
    ("while it was mounted", "while it was open"),
    ("store was mounted", "store was opened"),
)


@contextlib.contextmanager
def public() -> Iterator[None]:
    """Raise errors of a block anew, of which nothing is told but the line and the errno."""
    said = None
    try:
        yield
    except BiofuseError as error:
        text = redact(str(error))
        if error.errno == errno.ESTALE:
            for mounted, opened in _OPENED:
                text = text.replace(mounted, opened)
        said = BiofuseError(text, error.errno)
    if said is not None:
        raise said from None
