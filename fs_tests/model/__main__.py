"""The command: `python -m fs_tests.model`."""

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from fs_tests.model.figures import figures, kinds
from fs_tests.model.inputs import made_inputs
from fs_tests.model.run import run
from fs_tests.model.settings import ALL_FAULTS, FACES, PLACES, Settings


def main() -> int:
    """Run what the arguments say. Returns 1 if there were differences."""
    parser = argparse.ArgumentParser(
        prog="python -m fs_tests.model",
        description="Random operations on a mount and on Python's API, while workers and stores "
        "fail at random: every answer is held against real files and docs/semantics.md. "
        "Operations and faults are functions of the seed; when the threads that do them come to "
        "run is not, nor how fast, and so neither is which operation meets which fault.",
    )
    parser.add_argument("--seed", type=int, help="another one every time if none")
    parser.add_argument(
        "--seconds",
        type=float,
        help="of each place; a round if none: all views, each with faults, and all kinds of those",
    )
    parser.add_argument("--faces", default=",".join(FACES), help="[api,mount]")
    parser.add_argument("--place", default="local", help=f"{', '.join(PLACES)}, or all  [local]")
    parser.add_argument("--faults", default="all", help=f"all, none, or of {', '.join(ALL_FAULTS)}")
    parser.add_argument("--operations", type=int, help="of each thread, in each episode, at most")
    parser.add_argument("--timeout", type=float, help="the mount's; else what suits the place")
    parser.add_argument("--json", type=Path, help="a file for what came of it")
    words = parser.parse_args()
    places = PLACES if words.place == "all" else tuple(words.place.split(","))
    faults = {"all": ALL_FAULTS, "none": ()}.get(words.faults, tuple(words.faults.split(",")))
    seed = random.SystemRandom().randrange(2**20) if words.seed is None else words.seed
    for given, known in ((places, PLACES), (faults, ALL_FAULTS)):
        if unknown := set(given) - set(known):
            parser.error(f"not known: {', '.join(sorted(unknown))}")
    print(f"--seed {seed}", flush=True)
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="model-") as name,
        made_inputs(Path(name), places) as inputs,
    ):
        for place in places:
            settings = Settings(
                seed,
                place,
                words.seconds,
                tuple(words.faces.split(",")),
                faults,
                words.operations,
                words.timeout,
            )
            results = run(
                inputs, settings, Path(name) / place, lambda line: print(line, flush=True)
            )
            found.append(results.to_json())
    print(figures(found), kinds(found), sep="\n\n")
    for each in found:
        for text in each["first_differences"]:
            print(text)
    if words.json is not None:
        words.json.write_text(json.dumps(found, indent=1) + "\n")
    return int(any(each["differences"] for each in found))


if __name__ == "__main__":
    sys.exit(main())
