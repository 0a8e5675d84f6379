"""Secrets of a store's place go from the command to the worker, and are seen nowhere on the way."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support import reference
from support.program import wait_until
from support.scripted import Answer, Asked, Scripted, scripted
from support.stores import make_store, random_genotypes

from biofuse.api.settings import StoreOptions, ViewChoices
from biofuse.api.views import view_options
from biofuse.cli.words import hide_words, secret_words
from biofuse.options import Selection, ViewOptions
from biofuse.plan.client import get_plan
from biofuse.stores import Location
from biofuse.stores.secrets import split_secrets

GENOTYPES = random_genotypes(60, 23, seed=11)
BED = reference.bed(GENOTYPES)
SECRET = "s3cr3t-0f-th1s-t3st"
HEADERS = f'client_options={{"allow_http": true, "default_headers": {{"x-key": "{SECRET}"}}}}'


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    return make_store(folder / "x.vcz", GENOTYPES, chunks=(20, 9), encoding="v3-blosc-zstd-bit")


@pytest.fixture(scope="module")
def server(store) -> Iterator[Scripted]:
    """Answers those alone who have the secret in the URL and the one in a header."""

    def answer(asked: Asked) -> Answer:
        parts = urlsplit(asked.path)
        if parts.query != f"token={SECRET}" or asked.headers.get("x-key") != SECRET:
            return Answer(b"no", 403)
        path = store.parent / parts.path.lstrip("/")
        if asked.method not in ("GET", "HEAD") or not path.is_file():
            return Answer(status=404)
        data = path.read_bytes()
        if "range" not in asked.headers:
            return Answer(data)
        first, _, last = asked.headers["range"].removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last or len(data)) + 1]
        where = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return Answer(part, 206, {"Content-Range": where})

    with scripted(answer) as made:
        yield made


@pytest.fixture
def typed(server) -> tuple[str, list[str]]:
    url = f"{server.url}/x.vcz?token={SECRET}"
    return url, ["--backend-storage", "obstore", "--storage-option", HEADERS]


def in_files(folder: Path) -> list[Path]:
    """Files below a folder that have the secret in them."""
    return [
        file
        for file in folder.rglob("*")
        if file.is_file() and SECRET.encode() in file.read_bytes()
    ]


def in_command_lines(biofuse) -> list[str]:
    return [process.command for process in biofuse.processes() if SECRET in process.command]


def test_a_mount(typed, biofuse):
    url, options = typed
    directory = biofuse.new_directory()
    log = biofuse.home / "debug.log"
    more = ["--log-file", log, "--log-level", "debug", "--access-log", biofuse.home / "access.log"]
    biofuse("mount", url, directory, *options, *more, "--basename", "x")
    try:
        assert (directory / "x.bed").read_bytes() == BED
        assert {process.role for process in biofuse.processes()} == {"serve", "encode"}
        assert in_command_lines(biofuse) == []
        for words in (["status", directory, "--json"], ["status", directory]):
            told = biofuse(*words).stdout
            assert f"{urlsplit(url).netloc}/x.vcz" in told
            assert SECRET not in told
        assert log.stat().st_size > 0
        assert in_files(biofuse.home) == []
    finally:
        biofuse("umount", directory)
    assert SECRET not in biofuse("info", url, *options, "--json").stdout


def test_a_run(typed, biofuse):
    """Whose command line stays, and whose command has no use for the secret."""
    url, options = typed
    ready = biofuse.home / "ready"
    script = f'env >{ready}; cat "$BIOFUSE_BED" | cmp - {biofuse.home}/bed && read line'
    (biofuse.home / "bed").write_bytes(BED)
    command = biofuse.command("run", url, *options, "--", "sh", "-c", script)
    running = subprocess.Popen(command, env=biofuse.env, stdin=subprocess.PIPE)
    try:
        wait_until(lambda: ready.exists() and ready.read_text(), "the command runs")
        assert len(biofuse.processes()) >= 3
        assert in_command_lines(biofuse) == []
        assert in_files(biofuse.home) == []
    finally:
        assert running.stdin is not None
        running.communicate(b"\n", timeout=60)
    assert running.returncode == 0


def test_a_mount_in_the_foreground(typed, biofuse):
    """The command becomes the process that serves."""
    url, options = typed
    directory = biofuse.new_directory()
    serving = biofuse.popen("mount", url, directory, "--foreground", *options, "--basename", "x")
    wait_until(lambda: list(directory.iterdir()) or serving.poll() is not None, "it is mounted")
    assert (directory / "x.bed").read_bytes() == BED
    assert in_command_lines(biofuse) == []
    biofuse("umount", directory)
    assert SECRET not in "".join(serving.communicate(timeout=30))


def view(url: str, *pairs: str) -> ViewOptions:
    location = StoreOptions("obstore", pairs).location(url)
    return view_options(location, ViewChoices(), Selection(), {})


def test_a_plan(typed, tmp_path, monkeypatch):
    url, _ = typed
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    options = view(url, HEADERS)
    assert SECRET not in repr(options) + options.to_json() + repr(StoreOptions("obstore", ()))
    found = get_plan(options, None, lambda done, total: None)
    assert len(list(Path(found.path).iterdir())) > 3
    assert in_files(Path(found.path)) == []


def test_plans_are_those_of_the_place(typed):
    """Whoever asks: tokens are other ones every hour."""
    url, _ = typed
    other = url.replace(SECRET, "another-one")
    public = 'client_options={"allow_http": true}'
    assert view(url, public).digest("1") == view(other, public).digest("1")
    assert view(url, public).digest("1") != view(url, "region=a", public).digest("1")


def test_errors(typed, biofuse):
    """Of a place that refuses: one line without the secret."""
    url, options = typed
    wrong = url.replace("token=", "token=wrong-")
    for words in (["mount", wrong, biofuse.new_directory()], ["info", wrong]):
        line = biofuse.fails(*words, *options)
        assert SECRET not in line


def test_locations():
    location = Location.typed(
        f"https://me:{SECRET}@h/x.vcz", "obstore", {"key": SECRET, "anon": True}
    )
    assert location.path == "https://h/x.vcz"
    assert location.public() == {
        "path": "https://h/x.vcz",
        "backend": "obstore",
        "options": {"anon": True},
        "plan": None,
    }
    assert location.absolute().joined() == (
        f"https://me:{SECRET}@h/x.vcz",
        {"key": SECRET, "anon": True},
    )
    assert SECRET not in repr(location)


def test_words():
    url = f"https://me:{SECRET}@h/x?sig={SECRET}2#x"
    pairs = [f"key={SECRET}3", "region=r", f"config={{'a': '{SECRET}=4'}}"]
    _, _, secrets = split_secrets(url, {"key": "k", "region": "r", "config": {"a": SECRET}})
    assert secret_words(url, pairs, secrets) == [
        f"{SECRET}3",
        f"{{'a': '{SECRET}=4'}}",
        f"me:{SECRET}",
        f"sig={SECRET}2#x",
    ]
    script = (
        "from biofuse.cli.words import hide_words; import sys; hide_words(sys.argv[1:3]); input()"
    )
    hidden = subprocess.Popen(
        [sys.executable, "-c", script, SECRET, f"é{SECRET}", f"x={SECRET}", "other"],
        stdin=subprocess.PIPE,
    )
    line = Path(f"/proc/{hidden.pid}/cmdline")
    try:
        wait_until(lambda: b"***" in line.read_bytes(), "they are hidden")
        assert SECRET.encode() not in line.read_bytes()
        assert line.read_bytes().endswith(b"\0x=" + b"*" * len(SECRET) + b"\0other\0")
    finally:
        hidden.communicate(b"\n")
    hide_words([])
