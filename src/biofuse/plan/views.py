"""The views of a store that a plan has, and why others are left out."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from biofuse.errors import BiofuseError, StoreChangedError
from biofuse.formats import get_format, main_suffix
from biofuse.formats.base import PHASED, Layout, Subject
from biofuse.genotypes.array import GenotypeArray
from biofuse.options import ViewOptions
from biofuse.plan.call_fields import CallFields
from biofuse.plan.fields import describe_field

T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """A format, its options, how it lays out what is to be shown, and the fields it needs."""

    format: ModuleType
    options: Any
    layout: Layout
    fields: dict[str, GenotypeArray]

    @property
    def needs_sites(self) -> bool:
        """Whether all that the store has of sites is wanted."""
        return bool(self.format.needs_sites(self.options))


class LeftOut:
    """Collects the formats that cannot show a store, each of which may be found out late.

    Parameters
    ----------
    options : ViewOptions

    Attributes
    ----------
    reasons : dict of str to str
        By format.
    """

    def __init__(self, options: ViewOptions):
        self.reasons: dict[str, str] = {}
        self._options = options

    def attempt(self, name: str, make: Callable[[], T]) -> T | None:
        """Do something for a format; None if it turns out not to be possible.

        Raises
        ------
        BiofuseError
            If it is not, but required or the last one that is left.
        """
        try:
            return make()
        except StoreChangedError:
            raise
        except BiofuseError as error:
            self.reasons[name] = str(error)
            if name in self._options.required:
                raise
            if len(self.reasons) == len(self._options.formats):
                raise BiofuseError(self.reasons[self._options.formats[0]]) from error
            return None

    def warnings(self) -> list[str]:
        """A line for each."""
        return [
            f"there is no {main_suffix(name)}: {reason}" for name, reason in self.reasons.items()
        ]


def open_view(
    name: str,
    group,
    subject: Subject,
    options: dict[str, Any],
    call_fields: CallFields | None = None,
) -> View:
    """A view in a format.

    Parameters
    ----------
    name : str
    group : zarr.Group
    subject : Subject
    options : dict
        Those of the format's options that differ from the default.
    call_fields : CallFields, optional
        Of the store, where the subject has them too.

    Raises
    ------
    BiofuseError
        If it is not possible.
    """
    module = get_format(name)
    chosen = module.Options(**options)
    layout = module.layout(subject, chosen)
    known = {} if call_fields is None else call_fields.take()
    fields = {}
    for field in layout.fields:
        try:
            fields[field] = known.get(field) or describe_field(group, field)
        except BiofuseError as error:
            hint = "; --unphased does without it" if field == PHASED else ""
            raise BiofuseError(f"{error}{hint}") from error
    return View(module, chosen, layout, fields)
