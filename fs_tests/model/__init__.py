"""One model, three faces: the same random operations on plain files, on Python's API and on a
mount, while what they stand on breaks. `python -m fs_tests.model --help` says how to run it.

    oracle      the model: bytes of real files, and which of them come from which chunks
    operations  what is done, from a seed
    faces       how each face does it
    reader      a process that does it and tells what was not as the model has it
    processes   such processes, as who started them sees them
    schedule    which faults there are and when, from a seed
    squeeze     a control group with little memory
    workers     faults of a mount's processes
    stores      faults of a store, in each place
    history     faults as they happened
    rules       the specification: which answers are right, given the history
    settings    what a run is to be
    run         an episode from mount to umount
    results     what all of them come to
    figures     what several runs came to, as tables
    peer        the same with biofuse 0.1.0, and the table of both
"""

import sys
from pathlib import Path

# For what fs_tests have in common with tests, as pytest has it.
_SHARED = str(Path(__file__).parents[2] / "tests")
if _SHARED not in sys.path:
    sys.path.append(_SHARED)
