"""What a mount's processes give up of their user's rights before they read a store.

docs/security.md tells which process gives up what, and why.
"""

import logging

from biofuse import native
from biofuse.stores import Location

logger = logging.getLogger("biofuse.encode")


def gain_none(location: Location) -> None:
    """Have this process gain no rights by programs that are set-user-ID, unless it may need to.

    AWS's profiles name programs that give credentials (`credential_process`): sudo, say.
    """
    if _is_here(location):
        native.gain_no_rights()


def confine(location: Location) -> None:
    """Have this process besides change no files and run no programs, unless it may need to.

    Threads that it starts afterwards are confined; those that it has are not.
    """
    if not _is_here(location):
        logger.debug("not confined: the store is at some distance, or another package reads it")
    elif native.confine():
        logger.debug("confined: this process changes no files and runs no programs")
    else:
        logger.debug("not confined: this kernel has no Landlock, or not here")


def _is_here(location: Location) -> bool:
    """Whether all that is read lies in files, for which nobody needs credentials.

    What a place is that fsspec knows, this program does not.
    """
    if location.backend not in (None, "icechunk") or location.is_url:
        return False
    return location.plan is None or not Location(location.plan).is_url
