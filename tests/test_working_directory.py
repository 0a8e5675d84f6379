"""Files among a user's data that are named like modules are never run."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import reference
from support.stores import make_store, random_genotypes

import biofuse as package
from biofuse.children import child_environment, python_command

GENOTYPES = random_genotypes(60, 23, seed=6)
COMMANDS = ("mount", "run", "status", "umount", "info", "demo")


def imported() -> set[str]:
    """Top-level names of all that the program's processes import."""
    names = {"biofuse", "usercustomize", "sitecustomize"}
    mains = ("biofuse.__main__", "biofuse.plan.__main__", "biofuse.serve.__main__")
    parts = ("biofuse.plan.build", "biofuse.encode.worker", "biofuse.formats.bgi")
    for module in (*mains, *parts, *(f"biofuse.cli.{name}" for name in COMMANDS)):
        command = [sys.executable, "-P", "-c", f"import {module}, sys; print(*sys.modules)"]
        names |= set(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        )
    more = "import zarr, vcztools, rich.progress, rich.live, sqlite3, sys; print(*sys.modules)"
    command = [sys.executable, "-P", "-c", more]
    names |= set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    return {name.partition(".")[0] for name in names} - {"__main__", "__mp_main__"}


@pytest.fixture(scope="module")
def trap(tmp_path_factory) -> Path:
    """A folder with a trap for each: a module that leaves word that it was run."""
    folder = tmp_path_factory.mktemp("trap")
    names = imported()
    assert {"numpy", "zarr", "json", "selectors", "click"} <= names
    for name in names - set(sys.builtin_module_names):
        text = f"open({str(folder / 'sprung')!r}, 'a').write({name!r} + chr(10)); 1 / 0\n"
        (folder / f"{name}.py").write_text(text)
    (folder / "biofuse.py").unlink()
    (folder / "biofuse").mkdir()
    for module in ("", *(info.name for info in pkgutil.iter_modules(package.__path__))):
        path = folder / "biofuse" / f"{module or '__init__'}.py"
        path.write_text((folder / "json.py").read_text())
    return folder


def sprung(trap: Path) -> str:
    path = trap / "sprung"
    return path.read_text() if path.exists() else ""


# Values of PYTHONPATH that mean the working directory, here beside none that does.
PATHS = [None, ":", "/nowhere:", "."]


def test_the_traps_spring(trap):
    """Else the tests below could not fail."""
    command = [sys.executable, "-m", "biofuse.plan"]
    done = subprocess.run(command, cwd=trap, capture_output=True, check=False)
    assert done.returncode != 0
    assert sprung(trap)
    (trap / "sprung").unlink()


def test_commands_in_a_folder_of_traps(trap, biofuse):
    store = make_store(biofuse.home / "x.vcz", GENOTYPES, chunks=(20, 9))
    directory = biofuse.new_directory()
    seen = biofuse.home / "seen"
    biofuse("info", store, cwd=trap)
    biofuse("mount", store, directory, "-i", "POS>0", cwd=trap)
    assert (directory / "x.bed").read_bytes() == reference.bed(GENOTYPES)
    biofuse("status", directory, cwd=trap)
    biofuse("umount", directory, cwd=trap)
    biofuse("run", store, "--no-cache", "--", "cp", "{bgi}", seen, cwd=trap)
    assert seen.stat().st_size > 0
    assert sprung(trap) == ""


@pytest.mark.parametrize("path", PATHS)
def test_children_in_a_folder_of_traps(path, trap):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = path
    command = python_command("biofuse.plan")
    modules = "biofuse.plan.build, biofuse.serve.mount, biofuse.encode.worker, json, sqlite3"
    command[command.index("-m") :] = ["-c", f"import {modules}; print('ran')"]
    done = subprocess.run(
        command, env=child_environment(environment), cwd=trap, capture_output=True, text=True
    )
    assert done.stdout == "ran\n", done.stderr
    assert sprung(trap) == ""


def test_python_m_in_a_folder_with_modules_of_others(trap, tmp_path):
    """What `-m biofuse` means is the user's say; what that imports is not in the folder."""
    for name in ("click", "numpy", "zarr", "platformdirs", "rich"):
        (tmp_path / f"{name}.py").write_text((trap / f"{name}.py").read_text())
    for words in (["--version"], ["mount", "--help"]):
        command = [sys.executable, "-m", "biofuse", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "biofuse" in done.stdout
    assert sprung(trap) == ""


def test_where_biofuse_is_found_stays_on_the_path(monkeypatch, tmp_path):
    home = Path(package.__file__).parent.parent
    alone = {"OPENBLAS_NUM_THREADS": "1"}
    found = child_environment({"PYTHONPATH": f"{home}:x::/y"})
    assert found == {"PYTHONPATH": f"{home}:/y"} | alone
    monkeypatch.chdir(home)
    assert child_environment({"PYTHONPATH": "."}) == {"PYTHONPATH": str(home)} | alone
    monkeypatch.chdir(tmp_path)
    assert child_environment({"PYTHONPATH": "."}) == alone
    monkeypatch.chdir(home)
    files = {"GOOGLE_APPLICATION_CREDENTIALS": "k.json", "AWS_CONFIG_FILE": "~/c"}
    whole = {"GOOGLE_APPLICATION_CREDENTIALS": f"{home}/k.json", "AWS_CONFIG_FILE": "~/c"}
    assert child_environment(files) == whole | alone
    assert child_environment({"A": "b", "OPENBLAS_NUM_THREADS": "4"}) == {
        "A": "b",
        "OPENBLAS_NUM_THREADS": "4",
    }
