"""The one error type of the program, and its mapping to errno."""

import errno as _errno
import re
from collections.abc import Iterable

_ZLIB = re.compile(r"Error -\d+ while (de)?compressing data: ")


class BiofuseError(Exception):
    """Something went wrong that a user can act on; its text is one line.

    Parameters
    ----------
    message : str
        What happened, where, and what to do about it.
    errno : int
        What a read that fails for this reason returns.

    Attributes
    ----------
    exit_code : int
        What a command that fails for this reason returns.
    """

    exit_code = 1

    def __init__(self, message: str, errno: int = _errno.EIO):
        super().__init__(" ".join(str(message).split()))
        self.errno = errno


# What to do where a store changed.
MOUNT_AGAIN = "mount it again, with a new plan where --plan was given"


class StoreChangedError(BiofuseError):
    """The store is not what it was when it was mounted."""

    def __init__(self, message: str):
        super().__init__(message, _errno.ESTALE)


class DamagedError(BiofuseError):
    """What is stored of chunks cannot be decoded.

    Parameters
    ----------
    message : str
    keys : iterable of str
        The chunks', or those of all that may be meant.
    """

    def __init__(self, message: str, keys: Iterable[str] = ()):
        super().__init__(message)
        self.keys = frozenset(keys)


class NoRoomError(BiofuseError):
    """There is no room for what is to be written; another folder may have some."""


class MountRefusedError(BiofuseError):
    """The system does not let this user mount here; files can be had without."""


def as_errno(error: BaseException) -> int:
    """The errno that a failed read reports for this error."""
    return error.errno if isinstance(error, BiofuseError) else _errno.EIO


def one_line(error: BaseException) -> str:
    """An error's text in one line, with its type where the text alone would not do."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    if isinstance(error, BiofuseError):
        return text
    # As zlib begins whatever it says.
    text = _ZLIB.sub("", text)
    if isinstance(error, KeyError):
        text = text.strip("'\"")
    return text or type(error).__name__
