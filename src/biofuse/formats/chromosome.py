"""Chromosome names as plink2 writes them, and as names of files have them."""

import re

_NUMBERED = {
    "23": "X",
    "24": "Y",
    "25": "XY",
    "26": "MT",
    "27": "PAR1",
    "28": "PAR2",
    "M": "MT",
}
_NAMED = ("X", "Y", "XY", "MT")
# Not behind "chr".
_PSEUDOAUTOSOMAL = ("PAR1", "PAR2")
# Of a contig's name, what may be no part of a file's, or means something else to a shell.
_NOT_IN_FILES = re.compile(r"[^\w.-]")


def chromosome_name(contig: str) -> str:
    """A contig's name as plink2 writes it: `chr1` is 1, `chrM` is MT, others are kept."""
    code = contig[3:] if contig[:3].lower() == "chr" else contig
    if code.upper() in _NAMED:
        return code.upper()
    if contig.upper() in _PSEUDOAUTOSOMAL:
        return contig.upper()
    if code.isascii() and code.isdigit() and len(code) <= 2:
        code = str(int(code))
        if int(code) <= 22:
            return code
    return _NUMBERED.get(code.upper(), contig)


def name_in_files(contig: str) -> str:
    """A contig's name as those of files have it: letters, digits and `._-`, `_` for others.

    So a shell takes it for one word, whatever a store calls its contigs.
    """
    return _NOT_IN_FILES.sub("_", contig)
