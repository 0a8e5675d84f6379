"""The views that are measured: a store in one file format."""

from dataclasses import dataclass


@dataclass(frozen=True)
class View:
    """A view of a store.

    Attributes
    ----------
    name : str
        As ``biofuse mount --format`` takes it.
    suffix : str
        Of the streamed file.
    sidecars : tuple of str
        Suffixes of the files beside it.
    peer_command : str
        The peer's command that mounts it.
    """

    name: str
    suffix: str
    sidecars: tuple[str, ...]
    peer_command: str


PLINK = View("plink", ".bed", (".bim", ".fam"), "mount-plink")
BGEN = View("bgen", ".bgen", (".bgen.bgi", ".sample"), "mount-bgen")
# The peer has none of these.
PLINK2 = View("plink2", ".pgen", (".pvar", ".psam"), "")
BCF = View("bcf", ".bcf", (".bcf.csi",), "")
VIEWS = {view.name: view for view in (PLINK, BGEN)}
