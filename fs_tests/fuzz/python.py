"""Fuzz one target in Python: `python -m fs_tests.fuzz.python TARGET [OPTIONS OF LIBFUZZER]`."""

import sys

import atheris

if __name__ == "__main__":
    with atheris.instrument_imports(include=["biofuse"]):
        from fs_tests.fuzz.targets import TARGETS
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target.run)
    atheris.Fuzz()
