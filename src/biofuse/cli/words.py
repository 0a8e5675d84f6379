"""This process's command line, which every user of the machine can read."""

import contextlib
import re
from collections.abc import Iterable
from typing import Any


def secret_words(store: str, pairs: Iterable[str], secrets: dict[str, Any]) -> list[str]:
    """What is secret of a store's URL and of KEY=VALUE pairs, as it was typed.

    Parameters
    ----------
    store : str
    pairs : iterable of str
    secrets : dict
        What `stores.secrets.split_secrets` has found in them.
    """
    hidden = secrets.get("options", {})
    found = [value for key, _, value in (pair.partition("=") for pair in pairs) if key in hidden]
    if "path" in secrets:
        for url in store.split("::"):
            rest = url.partition("://")[2]
            host, _, query = re.sub("[?#]", "\0", rest, count=1).partition("\0")
            found += [host.partition("/")[0].rpartition("@")[0], query]
    return found


def hide_words(secrets: Iterable[str]) -> None:
    """Overwrite secrets that were typed on this process's command line with asterisks.

    What Python made of it stays; only ps and its like are told less. Whoever wants to hide them
    from the first moment on names them in variables.
    """
    wanted = [secret.encode(errors="surrogateescape") for secret in secrets if secret]
    if not wanted:
        return
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/cmdline", "rb") as file:
            line = file.read()
        with open("/proc/self/stat", "rb") as file:
            # What is before the last parenthesis may have any characters in it.
            fields = file.read().rpartition(b")")[2].split()
        # arg_start and arg_end of proc(5), which counts from 1 and the first two are cut off.
        begin, end = int(fields[48 - 3]), int(fields[49 - 3])
        if begin == 0 or end - begin < len(line):
            return
        import ctypes

        # The longest first, which shorter ones may be parts of.
        for secret in sorted(wanted, key=len, reverse=True):
            at = line.find(secret)
            while at >= 0:
                ctypes.memset(begin + at, ord("*"), len(secret))
                at = line.find(secret, at + len(secret))
