"""Results: collected, compared, printed, and written as JSON."""

import json
import os
import platform
import shutil
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

OURS, REFERENCES = "ours", ("peer", "null", "real", "plain", "local")


@dataclass
class Series:
    """One quantity, measured several times.

    Attributes
    ----------
    measure : str
        What was measured.
    store : str
        On which store.
    side : str
        ``ours``, or one of `REFERENCES`.
    variant : str
        Under which conditions; may be empty.
    unit : str
        Unit of the values.
    values : list of float
        One a repetition.
    """

    measure: str
    store: str
    side: str
    variant: str
    unit: str
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)


@dataclass
class Results:
    """All series of a run, in the order in which they were first measured."""

    say: Callable[[str], None]
    facts: dict[str, str | int | float | bool] = field(default_factory=dict)
    series: dict[tuple[str, str, str, str], Series] = field(default_factory=dict)

    def add(
        self, measure: str, store: str, side: str, variant: str, unit: str, value: float
    ) -> None:
        """Add one value to its series, and say it.

        Parameters
        ----------
        measure, store, side, variant, unit : str
            As in `Series`.
        value : float
            The value.
        """
        key = (measure, store, side, variant)
        series = self.series.setdefault(key, Series(measure, store, side, variant, unit))
        series.values.append(value)
        self.say(" ".join(filter(None, [measure, store, side, variant, _number(value), unit])))

    def reference(self, series: Series, side: str) -> Series | None:
        """Find the series that another is compared with.

        Parameters
        ----------
        series : Series
            The one to compare.
        side : str
            The side to compare it with.

        Returns
        -------
        Series or None
            That of the same measure, store and conditions, or the only one of that side.
        """
        same = (series.measure, series.store, side)
        matches = [other for key, other in self.series.items() if key[:3] == same]
        exact = [other for other in matches if other.variant == series.variant]
        found = exact or (matches if len(matches) == 1 else [])
        return found[0] if found else None

    def ratios(self, series: Series) -> dict[str, float]:
        """Divide a series' median by those of what it is compared with.

        Parameters
        ----------
        series : Series
            The series; only ours is compared.

        Returns
        -------
        dict
            Ratio by side.
        """
        found = {}
        for side in REFERENCES if series.side == OURS else ():
            other = self.reference(series, side)
            if other and other.median:
                found[side] = series.median / other.median
        return found

    def print(self, console: Console) -> None:
        """Print the facts and a table of all series.

        Parameters
        ----------
        console : rich.console.Console
            Where to.
        """
        for name, value in self.facts.items():
            console.print(f"{name}: {value}", highlight=False)
        measured = {series.side for series in self.series.values()}
        references = [side for side in REFERENCES if side in measured]
        ratios = [f"/ {side}" for side in references]
        table = Table(caption="Ratios are medians of ours divided by that side's.")
        for title in ("measure", "store", "side", "conditions"):
            table.add_column(title, no_wrap=True)
        for title in ("median", "min", "max", "n", *ratios):
            table.add_column(title, justify="right", no_wrap=True)
        previous = None
        for series in sorted(self.series.values(), key=self._order()):
            group = (series.measure, series.store)
            if previous not in (None, group):
                table.add_section()
            names = group if group != previous else ("", "")
            previous = group
            found = self.ratios(series)
            table.add_row(
                *names,
                series.side,
                series.variant,
                f"{_number(series.median)} {series.unit}",
                _number(min(series.values)),
                _number(max(series.values)),
                str(len(series.values)),
                *(f"{found[side]:.2f}" if side in found else "" for side in references),
                style="bold" if series.side == OURS else None,
            )
        console.print(table)

    def write(self, path: Path) -> None:
        """Write everything as JSON.

        Parameters
        ----------
        path : Path
            The file.
        """
        series = [
            {
                "measure": one.measure,
                "store": one.store,
                "side": one.side,
                "conditions": one.variant,
                "unit": one.unit,
                "median": one.median,
                "values": one.values,
                "ratios": self.ratios(one),
            }
            for one in sorted(self.series.values(), key=self._order())
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"facts": self.facts, "series": series}, indent=1) + "\n")

    def _order(self) -> Callable[[Series], tuple[int, int]]:
        """Return a sort key: by measure and store as first measured, then as added."""
        groups: dict[tuple[str, str], int] = {}
        places: dict[int, int] = {}
        for place, series in enumerate(self.series.values()):
            groups.setdefault((series.measure, series.store), len(groups))
            places[id(series)] = place
        return lambda series: (groups[series.measure, series.store], places[id(series)])


def machine_facts() -> dict[str, str | int | float | bool]:
    """Describe the machine, without naming it.

    Returns
    -------
    dict
        Facts by name.
    """
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": cpu,
        "memory (GiB)": round(pages / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load before": round(os.getloadavg()[0], 2),
        **{name: _version(name) for name in ("plink2", "plink1.9") if shutil.which(name)},
    }


def _version(program: str) -> str:
    """Return the first line of what a program says of its version."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    return done.stdout.strip().partition("\n")[0]


def _number(value: float) -> str:
    """Write a number with three significant digits, and no exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
