"""Draw results.json as bars; run with the benchmark environment's Python."""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

COLOURS = {"ours": "#1b7f5c", "peer": "#c8553d", "null": "#b8bec6", "real": "#6b7a8f"}
NAMES = {"ours": "biofuse", "peer": "biofuse 0.1.0", "null": "null FUSE file", "real": "real file"}
BAR_INCHES = 0.24
IDLE = "idle after 5 reads"

Bar = tuple[str, str, float]


def number(value: float) -> str:
    """Write a number with three significant digits, and no exponent.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        Its digits, with commas between thousands.
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def select(series: list[dict], measure: str, conditions: str | None = None) -> list[Bar]:
    """Return the bars of one measure.

    Parameters
    ----------
    series : list of dict
        All series of the results.
    measure : str
        Which measure.
    conditions : str, optional
        Only the series under these conditions; else the labels name them.

    Returns
    -------
    list of tuple
        Label, side and median of each.
    """
    bars = []
    for one in series:
        if one["measure"] != measure or conditions not in (None, one["conditions"]):
            continue
        label = one["store"] if conditions is not None else f"{one['store']}, {one['conditions']}"
        bars.append((f"{label}: {NAMES[one['side']]}", one["side"], one["median"]))
    return bars


def panels(series: list[dict]) -> list[tuple[str, list[Bar]]]:
    """Return the titles and bars of all panels that have any.

    Parameters
    ----------
    series : list of dict
        All series of the results.

    Returns
    -------
    list of tuple
        Title and bars of each panel.
    """
    wanted = []
    for suffix in (".bed", ".bgen"):
        wanted += [
            (f"Whole {suffix}, cold: MB/s (longer is better)", f"whole {suffix}", None),
            (f"plink2 --freq of {suffix}, cold: s", f"plink2 --freq of {suffix}", ""),
            (f"Random 25 KB of {suffix}: ms", f"random 25 KB of {suffix}", "median"),
            (f"Memory, {suffix}, peak, PSS: MiB", f"memory {suffix} peak", "PSS"),
            (f"Memory, {suffix}, idle, PSS: MiB", f"memory {suffix} {IDLE}", "PSS"),
        ]
    wanted.append(("bgenix, one variant: ms", "bgenix, one variant", "median"))
    found = [(title, select(series, *which)) for title, *which in wanted]
    return [(title, bars) for title, bars in found if bars]


def draw(results: dict, output: Path) -> None:
    """Draw the panels, one below the other, and save them as SVG; nothing where there are none.

    Parameters
    ----------
    results : dict
        The content of results.json.
    output : Path
        The SVG file.
    """
    found = panels(results["series"])
    if not found:
        print(f"{output} is not drawn: none of its measures was made")
        return
    heights = [len(bars) for _, bars in found]
    figure, axes = pyplot.subplots(
        len(found),
        figsize=(9, BAR_INCHES * sum(heights) + 0.4 * len(found) + 0.4),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    # Viewers choose fonts of their own, which may be wider.
    figure.get_layout_engine().set(w_pad=0.2)
    for axis, (title, bars) in zip(axes[:, 0], found, strict=True):
        labels, sides, values = zip(*bars, strict=True)
        drawn = axis.barh(range(len(bars)), values, color=[COLOURS[side] for side in sides])
        axis.bar_label(drawn, labels=[number(value) for value in values], padding=3, fontsize=8)
        axis.set_yticks(range(len(bars)), labels, fontsize=8)
        axis.set_ylim(len(bars) - 0.4, -0.6)
        axis.margins(x=0.12)
        axis.set_title(title, loc="left", fontsize=10, fontweight="bold")
        axis.xaxis.set_visible(False)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
    facts = results["facts"]
    repetitions = facts["repetitions"]
    figure.supxlabel(
        f"Medians of {repetitions} repetitions (memory: fewer) side by side on one noisy machine "
        f"with {facts['cores']} cores: read the ratios.",
        fontsize=8,
    )
    # No date and fixed identifiers: the same results give the same file.
    figure.savefig(output, metadata={"Date": None})


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    pyplot.rcParams["svg.hashsalt"] = "biofuse"
    # Text stays text: a tenth of the size, and it can be searched.
    pyplot.rcParams["svg.fonttype"] = "none"
    pyplot.rcParams["font.sans-serif"] = ["DejaVu Sans", "Verdana", "Arial"]
    draw(json.loads(args.results.read_text()), args.output)


if __name__ == "__main__":
    main()
