"""Draw what mounts hold over time; run with the benchmark environment's Python."""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

COLOURS = {"ours": "#1b7f5c", "peer": "#c8553d"}
NAMES = {"ours": "biofuse", "peer": "biofuse 0.1.0"}
STYLES = ("-", "--", ":", "-.")


def draw(results: list[dict], store: str, settings: list[str], output: Path) -> None:
    """Draw PSS over time, a panel for each view.

    Parameters
    ----------
    results : list of dict
        As ``python -m benchmarks.probes mounts --json`` writes them.
    store : str
        Which store to draw.
    settings : list of str
        Those to draw; of ours just the default.
    output : Path
        The SVG file.
    """
    mounts = [
        one
        for one in results
        if one["probe"] == "mounts" and one["store"] == store and "failed" not in one
    ]
    views = list(dict.fromkeys(one["view"] for one in mounts))
    figure, axes = pyplot.subplots(
        len(views), figsize=(8, 2.6 * len(views)), squeeze=False, layout="constrained"
    )
    for axis, view in zip(axes[:, 0], views, strict=True):
        style = dict.fromkeys(COLOURS, 0)
        for one in mounts:
            if one["view"] != view or one["setting"] not in settings:
                continue
            seconds = [row["seconds"] for row in one["timeline"]]
            sizes = [row["pss"] / 2**20 for row in one["timeline"]]
            side = one["side"]
            axis.plot(
                seconds,
                sizes,
                STYLES[style[side]],
                color=COLOURS[side],
                label=f"{NAMES[side]}, {one['setting']}",
            )
            style[side] += 1
        axis.set_title(f"{store}, {view}: five reads of 16 MiB, then idle", loc="left", fontsize=10)
        axis.set_ylabel("PSS, MiB")
        axis.set_ylim(0)
        axis.legend(fontsize=8, frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1, 0].set_xlabel("seconds")
    figure.savefig(output, metadata={"Date": None})


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--store", default="wide_bench", help="Store to draw.")
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        help="Setting to draw; may be repeated.  [default: those without changes, and 2 arenas]",
    )
    args = parser.parse_args()
    pyplot.rcParams["svg.hashsalt"] = "biofuse"
    pyplot.rcParams["svg.fonttype"] = "none"
    settings = args.setting or ["default", "default (32 workers)", "32 workers, 2 arenas"]
    draw(json.loads(args.results.read_text()), args.store, settings, args.output)


if __name__ == "__main__":
    main()
