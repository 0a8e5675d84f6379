"""A bare Debian: Python, FUSE and what these need, without network or compiler.

It is made with debootstrap out of the packages of this machine's own release, from where apt has
them, and stays in the user's cache folder. Nothing writes to it: what runs in it has /tmp and
/mnt, which are others each time.
"""

import fcntl
import os
import platform
import shutil
import subprocess
from pathlib import Path

from support.users import SOMEBODY, give

PACKAGES = ("fuse3", "python3", "python3-venv")

# In namespaces of its own: whatever is started or mounted in it ends with the command.
_ENTER = """
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
mount --bind "$2" "$1/mnt"
mount -t proc proc "$1/proc"
exec chroot --userspec="$3:$3" --groups= "$1" env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin \\
    sh -euc "$4"
"""


def bare_root() -> Path:
    """Where the bare Debian is; made where it is not there."""
    assert os.geteuid() == 0, "a root folder is made and entered by root alone"
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "biofuse-tests"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / "-".join((release, platform.machine(), *PACKAGES))
    with open(root.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            partial = root.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _make(partial, release)
            partial.rename(root)
    return root


def _make(root: Path, release: str) -> None:
    assert shutil.which("debootstrap"), "debootstrap is not installed: apt-get install debootstrap"
    options = ("--variant=minbase", f"--include={','.join(PACKAGES)}")
    done = subprocess.run(
        ["debootstrap", *options, release, root, _mirror(release)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    # As the installer of a Debian and the makers of containers do.
    (root / "etc" / "mtab").symlink_to("../proc/self/mounts")
    os.mknod(root / "dev" / "fuse", 0o20666, os.makedev(10, 229))
    (root / "dev" / "fuse").chmod(0o666)


def _mirror(release: str) -> str:
    """Where apt has a release's packages from."""
    form = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    lines = subprocess.run(
        ["apt-get", "indextargets", "--format", form, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    found = [line.split()[2] for line in lines if line.startswith(f"{release} main ")]
    assert found, f"apt knows no place for the packages of {release}"
    return found[0]


def run_in(root: Path, shared: Path, script: str) -> str:
    """Run a shell script in it as an ordinary user. Returns what it printed.

    Parameters
    ----------
    shared : Path
        The user's own from here on; /mnt in there.
    """
    give(shared, SOMEBODY)
    namespaces = ("--mount", "--pid", "--net", "--ipc", "--fork", "--kill-child")
    arguments = (root, shared, str(SOMEBODY), script)
    done = subprocess.run(
        ["unshare", *namespaces, "sh", "-euc", _ENTER, "enter", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
