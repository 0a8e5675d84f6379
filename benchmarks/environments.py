"""Virtual environments that the benchmarks need beside the project's own."""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Environment:
    """A virtual environment, known by its directory."""

    root: Path

    def tool(self, name: str) -> str:
        """Return the path of a program of this environment.

        Parameters
        ----------
        name : str
            File name under the environment's ``bin``.

        Returns
        -------
        str
            Absolute path of the program.

        Raises
        ------
        FileNotFoundError
            If the environment has no such program.
        """
        path = Path(os.path.abspath(self.root)) / "bin" / name
        if not path.exists():
            raise FileNotFoundError(f"{name} is not installed in the environment {self.root}")
        return str(path)


def ensure(root: Path, requirements: str) -> Environment:
    """Make a virtual environment, or do nothing when it is already as asked.

    Parameters
    ----------
    root : Path
        Directory of the environment.
    requirements : str
        Name of a requirements file beside this module.

    Returns
    -------
    Environment
        The environment, with everything installed.
    """
    wanted = HERE / requirements
    stamp = root / "installed"
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return Environment(root)
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(root)], check=True)
    pip = [str(root / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--disable-pip-version-check", "-r", str(wanted)], check=True)
    stamp.write_text(digest)
    return Environment(root)
