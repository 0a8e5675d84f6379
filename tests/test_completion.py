"""What a shell is offered behind the Tab key."""

import pytest
from support.stores import make_store, random_genotypes


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("s") / "x.vcz"
    contigs = ("chr1", "chr20", "chr21")
    return make_store(path, random_genotypes(30, 12), contigs=contigs)


@pytest.fixture
def offered(biofuse):
    """The completions of the last word, each with its kind."""

    def complete(*words) -> list[str]:
        line = " ".join(["biofuse", *(str(word) for word in words)])
        env = {
            "_BIOFUSE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words)),
        }
        return biofuse(env=env).stdout.split()

    return complete


@pytest.mark.slow
@pytest.mark.parametrize("command", ["mount", "mount-plink", "mount-bgen"])
def test_samples_and_contigs_are_the_stores(command, store, offered):
    assert offered(command, store, "mnt", "-s", "S001") == ["plain,S0010", "plain,S0011"]
    assert offered(command, store, "mnt", "-s", "S0003,S001")[0] == "plain,S0003,S0010"
    assert offered(command, store, "mnt", "-s", "^S001")[0] == "plain,^S0010"
    assert offered(command, store, "mnt", "-r", "chr2") == ["plain,chr20", "plain,chr21"]
    assert offered(command, store, "mnt", "--targets", "chr1,chr2")[1] == "plain,chr1,chr21"


def test_run_before_its_command(store, offered):
    assert offered("run", store, "-s", "S0007") == ["plain,S0007"]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["mount", "coh"], "file"),
        (["mount", "x.vcz", "m"], "dir"),
        (["run", "coh"], "file"),
        (["run", "x.vcz", "--", "./scr"], "file"),
        (["run", "x.vcz", "--", "plink2", "k"], "file"),
        (["info", "coh"], "file"),
        (["umount", "m"], "dir"),
        (["status", "m"], "dir"),
        (["demo", "d"], "dir"),
        *((["mount", "x.vcz", "m", option, "k"], "file") for option in ("-S", "-R", "-T")),
        *((["mount", "x.vcz", "m", f"--{o}", "k"], "file") for o in ("log-file", "access-log")),
        (["mount", "x.vcz", "m", "--cache-dir", "k"], "dir"),
    ],
)
def test_names_of_files(words, kind, offered):
    assert offered(*words) == [f"{kind},{words[-1]}"]


def test_a_store_that_cannot_be_read_offers_nothing(tmp_path, offered):
    assert offered("mount", tmp_path / "none.vcz", "mnt", "-s", "S") == []
    assert offered("mount", tmp_path, "mnt", "-r", "c") == []
