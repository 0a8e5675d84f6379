"""A view's plan, found or made, and what is to be said of it."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

from biofuse.errors import BiofuseError
from biofuse.manifest import Plan
from biofuse.memory import budget_warning, check_records
from biofuse.options import ViewOptions
from biofuse.plan.cache import PlanCache
from biofuse.plan.client import PlanDirectory, get_plan, open_plan
from biofuse.temporary import remove_folder


class Planned(NamedTuple):
    """A plan that can be served.

    Attributes
    ----------
    directory : PlanDirectory
    plan : Plan
    warnings : tuple of str
        What its user should know, a line each.
    """

    directory: PlanDirectory
    plan: Plan
    warnings: tuple[str, ...]


def plan_view(
    options: ViewOptions,
    cache: PlanCache | None,
    memory: int,
    timeout: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Planned:
    """Find or make the plan of a view.

    Parameters
    ----------
    options : ViewOptions
    cache : PlanCache or None
    memory : int
        Bytes that making the view's bytes may take.
    timeout : float
        Seconds in which the store must answer.
    progress : callable
        Called with the variants read so far and their number.

    Raises
    ------
    BiofuseError
        If the store cannot be shown as asked.
    """
    directory = get_plan(options, cache, progress, timeout)
    try:
        plan = open_plan(directory.path)
        plan.check_has(options.required)
        too_large = _too_large(plan, memory, options.required)
        budget = budget_warning(plan.decoded_chunk, memory)
        shown = [name for name in options.formats if name not in too_large]
        notices = [text for name in shown for text in plan.notices.get(name, [])]
        warnings = [
            *options.notes,
            *plan.warnings,
            *too_large.values(),
            *notices,
            *([budget] if budget else []),
        ]
    except BaseException:
        if directory.temporary:
            remove_folder(directory.path)
        raise
    directory = dataclasses.replace(directory, left_out=tuple(too_large))
    return Planned(directory, plan, tuple(warnings))


def _too_large(plan: Plan, memory: int, required: Sequence[str]) -> dict[str, str]:
    """Formats with records that do not fit the budget, and a line on each.

    Raises
    ------
    BiofuseError
        If one of them is required, or none is left.
    """
    found: dict[str, str] = {}
    for streamed in plan.streamed:
        try:
            check_records(streamed.max_record, memory)
        except BiofuseError as error:
            if streamed.format in required or len(found) + 1 == len(plan.streamed):
                raise
            suffix = streamed.name.removeprefix(plan.stem)
            found[streamed.format] = f"there is no {suffix}: {error}"
    return found
