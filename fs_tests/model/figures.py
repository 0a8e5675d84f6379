"""What runs of the model came to, as tables: `python -m fs_tests.model.figures FILE...`

Each file is what `python -m fs_tests.model --json` wrote.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from fs_tests.model.settings import ALL_FAULTS, kinds_of


def figures(runs: list[dict[str, Any]]) -> str:
    """A table for docs/reliability.md, a row a place."""
    columns = {
        "seconds": "seconds",
        "operations": "operations",
        "without bursts": "without_bursts",
        "answered by the worker": "requests_answered_by_the_worker",
        "faults": "faults",
        "differences": "differences",
    }
    sums: dict[str, Counter[str]] = {}
    for run in runs:
        place = sums.setdefault(run["settings"]["place"], Counter())
        place.update({key: round(run[key]) for key in columns.values()})
        place["errors"] += sum(run["errors_by_face_and_errno"].values())
    total: Counter[str] = Counter()
    for place in sums.values():
        total.update(place)
    keys = [*columns.values(), "errors"]
    lines = [
        f"| store | {' | '.join([*columns, 'errors that faults explain'])} |",
        f"|---|{'---:|' * len(keys)}",
    ]
    for name, found in [*sums.items(), ("all", total)]:
        lines.append(f"| {name} | {' | '.join(f'{found[key]:,}' for key in keys)} |")
    return "\n".join(lines)


def kinds(runs: list[dict[str, Any]]) -> str:
    """A table of faults for docs/reliability.md: a row a kind, a column a place."""
    places = list(dict.fromkeys(run["settings"]["place"] for run in runs))
    counts: dict[str, Counter[str]] = {place: Counter() for place in places}
    for run in runs:
        counts[run["settings"]["place"]].update(run["faults_by_kind"])
    lines = [f"| fault | {' | '.join(places)} |", f"|---|{'---:|' * len(places)}"]
    for kind in ALL_FAULTS:
        row = [f"{counts[place][kind]:,}" if kind in kinds_of(place) else "" for place in places]
        if any(row):
            lines.append(f"| {kind} | {' | '.join(row)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    found = [run for name in sys.argv[1:] for run in json.loads(Path(name).read_text())]
    print(figures(found), kinds(found), sep="\n\n")
