"""How object stores are reached: what obstore does not find out by itself."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from biofuse.stores.secrets import plain_name


@dataclass
class Access:
    """With whose credentials a store is read, and what obstore is told for that.

    Attributes
    ----------
    source : str or None
        Where the credentials are from, for messages; None where none were found, so that
        requests are not signed.
    settings : dict
        Arguments of obstore's store.
    provider : callable or None
        Gives credentials that obstore has no way to find, whenever it wants some.
    looked_at : str
        Where credentials would have been, for messages.
    """

    source: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    provider: Callable[[], Any] | None = None
    looked_at: str = ""

    @property
    def is_anonymous(self) -> bool:
        return self.source is None


class Given:
    """The options that a user has typed, by the names that most write.

    Parameters
    ----------
    options : mapping
        Arguments of obstore's store, of which `config` has some too.
    """

    def __init__(self, options: Mapping[str, Any]):
        config = options.get("config")
        every = {**(config if isinstance(config, Mapping) else {}), **options}
        self._values = {plain_name(key): value for key, value in every.items()}

    def get(self, *names: str) -> Any:
        """The first of these options that is given."""
        for name in names:
            value = self._values.get(name)
            if value is not None and value != "":
                return value
        return None

    def has(self, names: Iterable[str]) -> bool:
        """Whether one of these is given."""
        return any(self.get(name) is not None for name in names)

    def is_true(self, name: str) -> bool:
        """Whether this is given and says yes."""
        return is_yes(self.get(name))


def variable(*names: str) -> str | None:
    """The first of these variables that is set, and not to nothing."""
    for name in names:
        value = os.environ.get(name)
        if value:
            return value
    return None


def is_yes(value: Any) -> bool:
    """Whether a value of an option or variable says yes, as obstore takes it."""
    return str(value).lower() in ("1", "true", "on", "yes", "y")
