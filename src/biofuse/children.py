"""How the program starts itself again: with its own modules, whatever folder it is called in."""

import os
import sys

# Variables that name files, which whoever reads an object store looks for.
_FILES = (
    "AWS_CA_BUNDLE",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_FEDERATED_TOKEN_FILE",
    "CLOUDSDK_CONFIG",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "SSL_CERT_FILE",
)


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours.

    With -P, which keeps the working directory off the path of modules: a `numpy.py` that
    lies among a user's data is not for us. What else -I does, to leave out PYTHONPATH and the
    user's packages, is not wanted: biofuse itself may have been found there.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(environment: dict[str, str] | None = None) -> dict[str, str]:
    """The variables of such a process; this process's own by default.

    Without what in PYTHONPATH means the working directory, or is relative to it, unless it is
    where biofuse is. NumPy's linear algebra, which nothing here uses, would start a thread a
    core. Names of files with credentials are whole, for a process in another directory.
    """
    found = dict(os.environ if environment is None else environment)
    found.setdefault("OPENBLAS_NUM_THREADS", "1")
    if "PYTHONPATH" in found:
        paths = found["PYTHONPATH"].split(os.pathsep)
        ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        absolute = [ours if path and os.path.abspath(path) == ours else path for path in paths]
        kept = [path for path in absolute if os.path.isabs(path)]
        if kept:
            found["PYTHONPATH"] = os.pathsep.join(kept)
        else:
            del found["PYTHONPATH"]
    for name in _FILES:
        # Whoever reads it knows what ~ means.
        if found.get(name) and not found[name].startswith("~"):
            found[name] = os.path.abspath(found[name])
    return found
