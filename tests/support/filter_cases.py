"""A VCF with all that expressions ask about, and random expressions over it."""

import random
from pathlib import Path

NUM_SAMPLES = 9
_HEADER = """\
##fileformat=VCFv4.3
##FILTER=<ID=q10,Description="Quality below 10">
##FILTER=<ID=s50,Description="Few samples">
##INFO=<ID=DPX,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=FVX,Number=1,Type=Float,Description="A fraction">
##INFO=<ID=ALX,Number=A,Type=Integer,Description="A number an allele">
##INFO=<ID=LST,Number=.,Type=Integer,Description="Some numbers">
##INFO=<ID=TXT,Number=1,Type=String,Description="A text">
##INFO=<ID=FLG,Number=0,Type=Flag,Description="A flag">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Quality">
##FORMAT=<ID=DS,Number=1,Type=Float,Description="Dosage">
##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Depths">
##FORMAT=<ID=FTX,Number=1,Type=String,Description="A text">
"""
_COUNTED_HEADER = """\
##INFO=<ID=AC,Number=A,Type=Integer,Description="Count">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Number">
##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency">
"""
_CALLS = ("0/0", "0/1", "1/0", "1/1", "0|0", "0|1", "1|1", "./.", "0/.", "./1", "0", "1", ".")
_WEIGHTS = (8, 4, 1, 3, 2, 2, 1, 2, 1, 1, 1, 1, 1)
_ALLELES = (("A", "C"), ("A", "G"), ("AT", "A"), ("G", "GCC"), ("AC", "GT"), ("T", "."))


def write_vcf(path: Path, seed: int, num_sites: int = 150, counted: bool = False) -> Path:
    """A VCF of sites with at most two alleles: fields that are missing in every way there is.

    With `counted`, two in three sites have INFO/AC, AN and AF, which calls need not agree with.
    """
    rng = random.Random(seed)
    names = [f"S{i}" for i in range(NUM_SAMPLES)]
    with open(path, "w") as f:
        f.write(_HEADER + (_COUNTED_HEADER if counted else ""))
        f.write("##contig=<ID=1>\n##contig=<ID=chr2>\n")
        columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
        f.write("\t".join([*columns, *names]) + "\n")
        for i in range(num_sites):
            ref, alt = rng.choice(_ALLELES)
            info = [
                f"DPX={rng.choice(['.', '0', '3', '7', '30'])}",
                f"FVX={rng.choice(['.', '0.1', '0.3', '0.5', '1e-05', '-2.5'])}",
                f"LST={rng.choice(['1', '2,3', '1,2,3'])}",
                f"TXT={rng.choice(['.', 'x', 'y', 'x,y', 'abc'])}",
                "FLG",
            ]
            if alt != ".":
                info.append(f"ALX={rng.choice(['1', '5'])}")
            if counted and alt != "." and i % 3:
                info.append(f"AC={rng.randrange(4)};AN={rng.choice([4, 12])};AF={i % 5 / 4}")
            info = [each for each in info if rng.random() < 0.7 or each.startswith("AC=")]
            keys = [key for key in ("DP", "GQ", "DS", "AD", "FTX") if rng.random() < 0.8]
            kind = rng.random()
            weights = [0] * 7 + [1] * 1 + [0] * 5 if kind < 0.05 else _WEIGHTS
            calls = [_call(rng, keys, alt, weights) for _ in names]
            fixed = [
                "1" if i < num_sites * 2 // 3 else "chr2",
                str(10 + 3 * i),
                rng.choice([".", f"rs{i}", f"RS{i}", f"rs{i};esv{i}"]),
                *(ref, alt),
                rng.choice([".", "0", "5", "6.3", "10", "99.5"]),
                rng.choice([".", "PASS", "PASS", "q10", "s50", "q10;s50"]),
                ";".join(info) or ".",
                ":".join(["GT", *keys]),
            ]
            f.write("\t".join([*fixed, *calls]) + "\n")
    return path


def _call(rng: random.Random, keys: list[str], alt: str, weights) -> str:
    call = rng.choices(_CALLS, weights)[0]
    if alt == ".":
        call = call.replace("1", "0")
    values = {
        "DP": rng.choice([".", "0", "1", "5", "8", "20"]),
        "GQ": rng.choice([".", "1", "5", "9", "99"]),
        "DS": rng.choice([".", "0", "0.1", "1.5", "2"]),
        "AD": rng.choice([".", "1", "7"]) if alt == "." else rng.choice([".", "1,2", "9,0", ".,3"]),
        "FTX": rng.choice([".", "PASS", "lo", "x"]),
    }
    return ":".join([call, *(values[key] for key in keys)])


_NUMBERS = {
    "POS": ("100", "101", "250"),
    "QUAL": ("0", "5", "6.3", "10"),
    "N_ALT": ("0", "1"),
    "N_SAMPLES": ("9",),
    "N_MISSING": ("0", "1", "2"),
    "F_MISSING": ("0", "0.1", "0.25"),
    "ILEN": ("-1", "0", "2"),
    "AC": ("0", "1", "3"),
    "AN": ("0", "12", "16"),
    "AF": ("0", "0.1", "0.25", "0.5"),
    "MAC": ("0", "1", "3"),
    "MAF": ("0", "0.01", "0.25", "0.5"),
    "INFO/DPX": ("0", "3", "7", "30"),
    "DPX": ("0", "3", "7", "30"),
    "FVX": ("0.1", "0.3", "1e-5", "-2.5", "0"),
    "ALX": ("1", "5"),
    "LST": ("1", "2", "3"),
    "FLG": ("0", "1"),
    "LST[0]": ("1", "2", "3"),
    "ALX[0]": ("1", "5"),
    "STRLEN(REF)": ("1", "2"),
    "STRLEN(ALT)": ("1", "3"),
    "FMT/DP": ("0", "5", "8", "19"),
    "FORMAT/GQ": ("1", "5", "50"),
    "GQ": ("1", "5", "50"),
    "DS": ("0", "0.1", "1.5"),
    "FMT/AD": ("1", "2", "7"),
    "FMT/AD[*:0]": ("1", "7"),
    "AD[:1]": ("2", "3"),
    "MAX(FMT/DP)": ("5", "8"),
    "MIN(FMT/GQ)": ("1", "5"),
    "AVG(FMT/DP)": ("5", "8"),
    "MEAN(GQ)": ("20",),
    "SUM(FMT/DP)": ("30", "50"),
}
_MAY_BE_MISSING = ("QUAL", "INFO/DPX", "FVX", "ALX", "LST", "FMT/DP", "GQ", "DS", "FMT/AD")
_TEXTS = {
    "CHROM": ("1", "chr2", "1,chr2"),
    "ID": (".", "rs3", "rs6;esv6", "rs3,rs4"),
    "REF": ("A", "AT", "A,G"),
    "ALT": ("C", ".", "GCC"),
    "TXT": ("x", "y", ".", "x,abc"),
    "FMT/FTX": ("PASS", "lo", ".", "lo,x"),
}
_PATTERNS = {
    "ID": ("^rs", "rs1/i", "[13]$", "rs1*2", "esv", "^.$"),
    "TXT": ("x", "^a.c", "[xy]"),
    "FTX": ("PA", "^[a-z]*o$", "^x$"),
    "ALT": ("^G", "C$", "CC*"),
}
_FILTERS = ("PASS", ".", "q10", "q10;s50", "s50;q10")
_TYPES = ("snp", "indel", "mnp", "ref", "other", "snps", "bnd")
_GENOTYPES = (
    *("ref", "alt", "mis", "hom", "het", "hap", "RR", "AA", "RA", "AR", "Aa", "R", "A", "HET"),
    *("0/1", "0|1", "1/1", "./.", "./1", "1", ".", "0/0,0|0"),
)
_ORDERS = ("<", "<=", ">", ">=", "=", "==", "!=")


class Expressions:
    """Random expressions."""

    def __init__(self, seed: int):
        self._rng = random.Random(seed)

    def any(self, depth: int = 2) -> str:
        """An expression."""
        rng = self._rng
        if depth == 0 or rng.random() < 0.35:
            return self._comparison(depth)
        text = rng.choice(("&", "&&", "|", "||", " & ", " && ", " | ", " || ")).join(
            self.any(depth - 1) for _ in range(rng.choice((2, 2, 3)))
        )
        return f"({text})" if rng.random() < 0.5 else text

    def _comparison(self, depth: int) -> str:
        rng = self._rng
        kind = rng.choice(("number",) * 5 + ("text", "pattern", "filter", "type", "gt", "gt"))
        kind = rng.choice((kind, kind, kind, "missing", "arithmetic", "passes", "two"))
        space = rng.choice(("", " "))
        if kind == "number":
            name = rng.choice(list(_NUMBERS))
            sides = [name, rng.choice(_NUMBERS[name])]
            if rng.random() < 0.2:
                sides.reverse()
            return f"{space}{rng.choice(_ORDERS)}{space}".join(sides)
        if kind == "missing":
            return f'{rng.choice(_MAY_BE_MISSING)}{rng.choice(("=", "!="))}"."'
        if kind == "text":
            name = rng.choice(list(_TEXTS))
            quote = rng.choice("'\"")
            return f"{name}{rng.choice(('=', '!='))}{quote}{rng.choice(_TEXTS[name])}{quote}"
        if kind == "pattern":
            name = rng.choice(list(_PATTERNS))
            return f'{name}{space}{rng.choice(("~", "!~"))}"{rng.choice(_PATTERNS[name])}"'
        if kind == "filter":
            return f'FILTER{rng.choice(("=", "!=", "~", "!~"))}"{rng.choice(_FILTERS)}"'
        if kind == "type":
            return f'TYPE{rng.choice(("=", "!=", "~", "!~"))}"{rng.choice(_TYPES)}"'
        if kind == "gt":
            word = rng.choice(_GENOTYPES)
            operator = rng.choice(("=", "!=")) if "," not in word else "="
            return f'{rng.choice(("GT", "FMT/GT"))}{operator}"{word}"'
        if kind == "passes":
            inner = (
                self._samples()
                if depth == 0
                else rng.choice("&|").join(self._samples() for _ in range(2))
            )
            name, limits = rng.choice((("N_PASS", "0123456789"), ("F_PASS", ("0.5", "0.2", "1"))))
            return f"{name}({inner}){rng.choice(_ORDERS)}{rng.choice(limits)}"
        if kind == "arithmetic":
            return rng.choice(
                (
                    "N_MISSING/N_SAMPLES>0.1",
                    "AC/AN<=0.25",
                    "INFO/DPX+QUAL>10",
                    "(POS-10)/3<20",
                    "-POS>-100",
                    "QUAL-INFO/DPX*2!=-1",
                    "2*(QUAL+1)=12",
                    "FMT/DP+1>5",
                    "FMT/DP/FMT/GQ>1.5",
                    "FMT/DP*QUAL>40",
                    "FVX*3=0.3",
                    "QUAL-6=0.3",
                    "MAX(FMT/DP)-MIN(FMT/DP)>7",
                    'N_PASS(GT="alt")/N_SAMPLES>0.3',
                    "QUAL/INFO/DPX>1",
                    "0-QUAL<-5.5",
                )
            )
        left, right = rng.choice(
            (
                ("QUAL", "INFO/DPX"),
                ("FMT/DP", "FMT/GQ"),
                ("FMT/DP", "INFO/DPX"),
                ("FMT/DP", "QUAL"),
                ("ALX", "INFO/DPX"),
                ("FVX", "MAF"),
                ("DS", "FMT/DP"),
                ("LST", "INFO/DPX"),
            )
        )
        return f"{left}{rng.choice(_ORDERS)}{right}"

    def _samples(self) -> str:
        rng = self._rng
        return rng.choice(
            (
                'GT="alt"',
                'GT="het"',
                'GT!="mis"',
                "FMT/DP>4",
                "GQ<=5",
                'FMT/DP="."',
                "FMT/DP!=5",
                'FMT/FTX="PASS"',
                'GT="hom"',
                "DS>0.5",
            )
        )
