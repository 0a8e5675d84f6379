"""Check cases of one kind: `python -m fs_tests.corpus KIND --seed N`, with `tests` on the path.

A line of JSON before each case and one after it, so that whoever reads them knows what it was
that has ended the process, or has never ended.
"""

import argparse
import json
import sys
import tempfile
import traceback
from pathlib import Path

import numpy as np

from .case import not_stuck
from .kinds import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(description="Check what is made of what is broken.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--seed", type=int, default=0, help="what the cases are made from")
    parser.add_argument("--most", type=int, help="a random sample of so many cases")
    parser.add_argument("--only", help="the cases whose name has this in it")
    parser.add_argument("--list", action="store_true", help="say what there is")
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = KINDS[chosen.kind](folder, rng)
        # Chance may make the same twice.
        cases = list({case.name: case for case in cases}.values())
        _say(cases=len(cases))
        cases = [case for case in cases if chosen.only is None or chosen.only in case.name]
        if chosen.most is not None and chosen.most < len(cases):
            numbers = rng.choice(len(cases), chosen.most, replace=False)
            cases = [cases[number] for number in sorted(numbers.tolist())]
        for number, case in enumerate(cases):
            _say(name=case.name, expects=case.expects)
            if chosen.list:
                continue
            own = folder / f"case{number}"
            own.mkdir()
            try:
                with not_stuck(case.name):
                    case.check(own)
            except Exception:
                failed += 1
                _say(name=case.name, wrong=traceback.format_exc())
    _say(done=len(cases), failed=failed)
    return 1 if failed else 0


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main())
