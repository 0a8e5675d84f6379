"""The store that a command line names."""

from dataclasses import dataclass

from biofuse.api.settings import StoreOptions
from biofuse.cli.words import hide_words, secret_words
from biofuse.stores import Location


@dataclass(frozen=True)
class TypedStore(StoreOptions):
    """How to reach a store; what is secret of that is taken off this process's command line."""

    def location(self, store: str) -> Location:
        location = super().location(store)
        if location.secrets:
            hide_words(secret_words(store, self.storage_options, location.secrets))
        return location
