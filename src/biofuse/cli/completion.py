"""What a shell offers for options that name samples or contigs: those of the store."""

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from biofuse.api.settings import StoreOptions

# More are of no use to anyone who reads them.
_MOST = 200


def names_of(field: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """A function that completes the last of a list of names, which are a field of the store."""

    def complete(ctx: click.Context, param: click.Parameter, text: str) -> list[CompletionItem]:
        before, comma, last = text.rpartition(",")
        mark = "^" if not comma and last.startswith("^") else ""
        found = [name for name in _read(ctx, field) if name.startswith(last.removeprefix(mark))]
        return [CompletionItem(f"{before}{comma}{mark}{name}") for name in found[:_MOST]]

    return complete


def _read(ctx: click.Context, field: str) -> list[str]:
    """The names, or none if the store cannot be read: there is nobody to tell an error."""
    from biofuse.plan.selection import read_field
    from biofuse.stores.location import open_group

    try:
        source = StoreOptions(
            ctx.params.get("backend_storage"), tuple(ctx.params.get("storage_options") or ())
        )
        # Where the last word is an option without its value, click assigns no arguments.
        store = ctx.params.get("store") or ctx.args[0]
        names = read_field(open_group(source.location(store)), field)
        return [name for name in names.tolist() if name]
    except Exception:
        return []
