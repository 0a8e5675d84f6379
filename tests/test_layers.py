"""The rules of docs/architecture.md and DESIGN.md, "Layers", held against the sources."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stores import make_store, random_genotypes
from support.views import plan_view

import biofuse

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "biofuse"
MODULES = {
    ".".join(path.relative_to(SOURCES.parent).with_suffix("").parts): path
    for path in sorted(SOURCES.rglob("*.py"))
}
HEAVY = {"numpy", "zarr", "vcztools", "numcodecs", "rich"}
LAYERS = {
    "api",
    "check",
    "cli",
    "plan",
    "serve",
    "fuse",
    "encode",
    "export",
    "formats",
    "genotypes",
    "stores",
    "native",
}


def imports(module: str, anywhere: bool = True) -> Iterator[str]:
    """Full names of what a module imports; at top level only, unless `anywhere`."""
    tree = ast.parse(MODULES[module].read_text())
    nodes = ast.walk(tree) if anywhere else at_top_level(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_top_level(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node
            yield from at_top_level(node)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def of_layer(layer: str) -> list[str]:
    found = [module for module in MODULES if is_in(module, f"biofuse.{layer}")]
    assert found
    return found


# What no module of a layer may import, wherever in it: layers, and packages of others.
FORBIDDEN = {
    "serve": (LAYERS - {"serve", "fuse"}, HEAVY | {"click", "asyncio", "ctypes"}),
    "encode": ({"serve", "fuse", "cli", "api", "export", "plan"}, HEAVY | {"click"}),
    "api": ({"cli", "check", "export", "genotypes", "native"}, {"click", "rich", "vcztools"}),
    "export": ({"cli", "serve", "fuse", "check", "plan", "genotypes"}, {"click", "rich"}),
    "formats": (LAYERS - {"formats", "native"}, HEAVY | {"click"}),
    "genotypes": (LAYERS - {"genotypes", "stores", "native"}, {"vcztools"}),
    "stores": (LAYERS - {"stores"}, {"click", "rich"}),
    "native": (LAYERS - {"native"}, HEAVY | {"click"}),
    "check": ({"api", "cli", "export", "serve", "fuse", "encode"}, {"vcztools", "click", "rich"}),
    "plan": ({"api", "check", "cli", "export", "serve", "fuse"}, {"click", "rich"}),
}


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_what_a_layer_may_not_import(layer):
    layers, packages = FORBIDDEN[layer]
    forbidden = {f"biofuse.{name}" for name in layers} | packages
    found = [
        (module, name)
        for module in of_layer(layer)
        for name in imports(module)
        for package in forbidden
        if is_in(name, package)
    ]
    assert found == []


def test_the_protocol_stands_alone():
    found = [
        (module, name)
        for module in of_layer("fuse")
        for name in imports(module)
        if name.partition(".")[0] not in sys.stdlib_module_names and not is_in(name, "biofuse.fuse")
    ]
    assert found == []


def test_what_layers_share_imports_none_of_them():
    shared = [module for module in MODULES if module.count(".") == 1 and "__" not in module]
    shared = [module for module in shared if module.partition(".")[2] not in LAYERS]
    assert {"biofuse.errors", "biofuse.manifest", "biofuse.protocol", "biofuse.table"} <= set(
        shared
    )
    found = [
        (module, name)
        for module in shared
        for name in imports(module)
        if any(is_in(name, f"biofuse.{layer}") for layer in LAYERS)
    ]
    assert found == []


def test_the_command_line_imports_nothing_heavy_at_top_level():
    found = [
        (module, name)
        for module in of_layer("cli")
        for name in imports(module, anywhere=False)
        if name.partition(".")[0] in HEAVY
    ]
    assert found == []


def test_the_rules_can_be_broken(tmp_path, monkeypatch):
    """The checks above see imports where they are."""
    text = "import os\nif os:\n    import numpy as np\ndef f():\n    from biofuse import stores\n"
    (tmp_path / "m.py").write_text(text)
    monkeypatch.setitem(MODULES, "m", tmp_path / "m.py")
    assert list(imports("m")) == ["os", "numpy", "biofuse.stores"]
    assert list(imports("m", anywhere=False)) == ["os", "numpy"]


def loaded_by(program: str, *arguments) -> set[str]:
    """Modules that are loaded when a program ends."""
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_serving_process_stays_light():
    loaded = loaded_by("import biofuse.serve.__main__")
    assert "biofuse" in packages(loaded)
    heavy = HEAVY | {"click", "asyncio", "ctypes", "shutil", "importlib.metadata"}
    assert loaded & heavy == set()
    # What a virtual environment loads at its start is nobody's choice.
    before = packages(loaded_by(""))
    assert packages(loaded) - before - {"biofuse"} <= sys.stdlib_module_names
    layers = {name.split(".")[1] for name in loaded if name.startswith("biofuse.")} & LAYERS
    assert layers == {"serve", "fuse"}


def test_the_worker_stays_light_on_the_fast_path(tmp_path):
    store = make_store(tmp_path / "x.vcz", random_genotypes(30, 9), chunks=(7, 4))
    plan_view(store, tmp_path / "plan", "-s", "S0003,S0001")
    program = """
import pathlib, sys, time
import biofuse.encode.worker as worker
from biofuse.encode.encoder import Encoder
directory = pathlib.Path(sys.argv[1])
plan = worker.read_plan((directory / "plan.json").read_text())
tables = {name: memoryview((directory / name).read_bytes()) for name in plan.table_names()}
out = bytearray(30)
Encoder(plan, tables, 1 << 20, time.time_ns()).encode(0, 0, 30, memoryview(out))
assert any(out)
"""
    loaded = loaded_by(program, tmp_path / "plan")
    assert "biofuse.native" in loaded
    assert packages(loaded) & (HEAVY | {"click", "asyncio"}) == set()


def test_c_code_knows_nothing_of_python():
    files = [*SOURCES.glob("native/*.c"), *SOURCES.glob("native/*.h")]
    assert len(files) > 5
    for path in files:
        text = path.read_text()
        assert not re.search(r"#\s*include\s*[<\"].*Python\.h", text), path
        assert not re.search(r"\bPy[A-Z]\w+", text), path


def test_no_file_is_long():
    found = []
    for folder in ("src", "tests", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".pyx", ".c", ".h"):
                lines = path.read_text().count("\n")
                if lines > 500:
                    found.append((path.name, lines))
    assert found == []


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_has_a_docstring(module):
    tree = ast.parse(MODULES[module].read_text())
    assert ast.get_docstring(tree), module
    missing = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert missing == []


def test_one_version():
    assert biofuse.__version__ == importlib.metadata.version("biofuse")
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", biofuse.__version__)
    # One file has it.
    found = [
        path
        for path in (*ROOT.glob("*.*"), *SOURCES.rglob("*"))
        if path.suffix in (".build", ".py", ".pyx", ".toml")
        and biofuse.__version__ in path.read_text()
    ]
    assert found == [ROOT / "meson.build"]
