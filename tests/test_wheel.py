"""The wheel for other machines: what is in it, and that it works where nothing else is."""

import os
import re
import sqlite3
import subprocess
import sys
import tomllib
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from support.bare_root import bare_root, run_in
from support.oracles import tool

import biofuse as package

ROOT = Path(__file__).parents[1]
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")

pytestmark = pytest.mark.slow


def run(*command: object) -> str:
    """Run a program that must succeed. Returns what it printed."""
    words = [str(word) for word in command]
    # Where meson and ninja are.
    env = {**os.environ, "PATH": f"{Path(tool('meson')).parent}:{os.environ['PATH']}"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, as `make wheel` makes it; abi3audit has passed it."""
    folder = tmp_path_factory.mktemp("dist")
    run(ROOT / "scripts" / "wheel", folder)
    (made,) = folder.iterdir()
    return made


def test_it_is_for_every_python_and_an_old_c_library(wheel):
    version = re.escape(package.__version__)
    name = re.fullmatch(rf"biofuse-{version}-cp311-abi3-manylinux_2_(\d+)_\w+\.whl", wheel.name)
    assert name, wheel.name
    # Debian 12's.
    assert int(name[1]) <= 36
    assert f'platform tag: "{wheel.stem.rpartition("-")[2]}"' in " ".join(
        run(tool("auditwheel"), "show", wheel).split()
    )


def test_it_holds_its_libraries_and_nothing_of_the_build(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert [n for n in names if n.endswith(".so")] == ["biofuse/native/_native.abi3.so"]
    libraries = {n.split("/")[1].split("-")[0] for n in names if re.match("biofuse.libs/.", n)}
    assert libraries == {"libdeflate", "libzstd"}
    licenses = {Path(n).name for n in names if "/licenses/" in n and not n.endswith("/")}
    assert licenses == {"LICENSE", "libdeflate.txt", "libzstd.txt"}
    package = {n for n in names if n.startswith("biofuse/") and not n.endswith(("/", ".so"))}
    source = ROOT / "src"
    assert package == {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.suffix in (".py", ".pyi") or path.name == "py.typed"
    }


def test_the_source_distribution_builds(tmp_path):
    """From what is committed."""
    run(tool("python"), "-m", "build", "--no-isolation", "--sdist", "--outdir", tmp_path, ROOT)
    (sdist,) = tmp_path.glob("biofuse-*.tar.gz")
    unoptimized = "--config-settings=setup-args=-Dbuildtype=debug"
    options = ("--no-build-isolation", "--no-deps", unoptimized)
    run(*PIP, "wheel", *options, "-w", tmp_path / "w", sdist)
    (built,) = (tmp_path / "w").iterdir()
    with zipfile.ZipFile(built) as archive:
        assert "biofuse/native/_native.abi3.so" in archive.namelist()
        (metadata,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = archive.read(metadata).decode()
    assert "\nName: biofuse\n" in text


def requirements() -> list[str]:
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)["project"]["dependencies"]


def fill_wheelhouse(folder: Path, wheel: Path, root: Path) -> None:
    """Put the wheel and all that it depends on into a folder, for the Python of a root folder."""
    folder.mkdir()
    python = (root / "usr" / "bin" / "python3").resolve().name.removeprefix("python")
    only = ("--only-binary", ":all:", "--python-version", python)
    run(*PIP, "download", *only, "--find-links", folder, "-d", folder, wheel)


def contents(folder: Path) -> dict[str, object]:
    """Its files' bytes; of an index its rows: it has the time in it at which it was made."""
    found: dict[str, object] = {}
    for path in folder.iterdir():
        if path.suffix == ".bgi":
            with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
                found[path.name] = list(db.execute("SELECT * FROM Variant"))
        else:
            found[path.name] = path.read_bytes()
    return found


SCRIPT = """
for program in cc gcc clang pkg-config fusermount3; do command -v $program || true; done >/mnt/has
export PIP_NO_COMPILE=1
python3 -m venv /tmp/venv
/tmp/venv/bin/pip install -q --no-index --find-links /mnt/wheels biofuse
export PATH=/tmp/venv/bin:$PATH
biofuse --version >/mnt/version
biofuse demo /mnt/demo.vcz >/mnt/demo.out
mkdir /tmp/mnt /mnt/seen
biofuse mount /mnt/demo.vcz /tmp/mnt
cp /tmp/mnt/* /mnt/seen
biofuse umount /tmp/mnt
ls /tmp/mnt >/mnt/left
biofuse run /mnt/demo.vcz -- cmp {bed} /mnt/seen/demo.bed
"""


# The root folder may have to be made, and the machine be busy.
@pytest.mark.timeout(1800)
def test_it_works_where_there_is_only_python_and_fuse(wheel, biofuse, tmp_path):
    root = bare_root()
    shared = tmp_path / "shared"
    shared.mkdir()
    fill_wheelhouse(shared / "wheels", wheel, root)
    run_in(root, shared, SCRIPT)
    assert (shared / "has").read_text() == "/usr/bin/fusermount3\n"
    assert (shared / "version").read_text() == f"biofuse, version {package.__version__}\n"
    assert (shared / "left").read_text() == ""
    seen = contents(shared / "seen")
    assert {"demo.bed", "demo.bim", "demo.fam", "demo.bgen", "demo.bgen.bgi"} <= seen.keys()
    with biofuse.mount(shared / "demo.vcz") as mount:
        assert contents(mount.dir) == seen
