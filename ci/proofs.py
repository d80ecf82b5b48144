# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be shown, and where it is shown.

    ci/fixes.txt      fixes of the kernel series: the named test fails without the patch
    ci/mutants/       diffs against the tip of the last series, each of which brings a fault
                      back; the test that it names fails with it
    ci/faults.txt     the faults that were found, and what shows that each is gone

Documentation/tests.md describes the three.
"""
import email
import email.header
import glob
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIXES = os.path.join(TOP, "ci", "fixes.txt")
FAULTS = os.path.join(TOP, "ci", "faults.txt")
MUTANTS = os.path.join(TOP, "ci", "mutants")
FLAVOURS = ("fast", "debug", "modules")
NUMBER = re.compile(r"([A-Z])([1-9][0-9]*)")
KEYS = {"test", "flavour", "why", "bases", "point"}


class ProofError(Exception):
    """What is wrong with one of the files, in one line."""


def lines_of(path):
    """(line number, text) of the lines that say something."""
    with open(path, encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip() and not line.startswith("#"):
                yield number, line.strip()


def guest_test(name):
    """Path of a guest test, or None."""
    found = [path for path in glob.glob(os.path.join(TOP, "qemu", "tests", "*", glob.escape(name) + ".*"))
             if path.endswith((".c", ".sh"))]
    return found[0] if found else None


def subjects(base):
    """The subjects of all patches of a base."""
    found = set()
    for path in glob.glob(os.path.join(TOP, "patches", base, "*", "*.patch")):
        with open(path, encoding="utf-8", errors="replace") as stream:
            letter = email.message_from_file(stream)
        text = str(email.header.make_header(email.header.decode_header(letter["Subject"] or "")))
        found.add(re.sub(r"^\[[^]]*\] ", "", re.sub(r"\s*\n\s*", " ", text)))
    return found


def guest_test_says(name):
    """What a guest test says that it shows."""
    with open(guest_test(name), encoding="utf-8") as stream:
        return next((match[1] for match in map(re.compile(r"\W*test: (.*\S)").match, stream) if match), "")


class Proof:
    """One thing to be shown: `test` fails on the kernel of `flavour` that lacks it.

    name     the subject of a patch, or the name of a mutant's file
    mutant   path of the diff that brings the fault back; None: the patch is taken out
    bases    the bases that it is for; None: all of them
    why      of a mutant: what the fault is
    point    what the failed result must match
    """

    def __init__(self, name, test, flavour="fast", mutant=None, bases=None, point=None, why=""):
        self.name, self.test, self.flavour = name, test, flavour
        self.mutant, self.bases, self.point = mutant, bases, re.compile(point or "")
        self.why = why

    def __str__(self):
        how = f"with {self.name}" if self.mutant else f'without "{self.name}"'
        return f"{self.test} fails {how}" + f" ({self.flavour})" * (self.flavour != "fast")

    def check(self):
        """Raise ProofError if test or flavour are none."""
        if self.flavour not in FLAVOURS:
            raise ProofError(f"'{self.flavour}' is no flavour; there are: {', '.join(FLAVOURS)}")
        if not guest_test(self.test):
            raise ProofError(f"there is no guest test '{self.test}'; 'qemu/vm test --list' shows them")


def read_fix(line):
    """A line of ci/fixes.txt: SUBJECT : TEST [: FLAVOUR]."""
    words = line.split(" : ")
    if len(words) > 2 and words[-1].strip() in FLAVOURS:
        flavour = words.pop().strip()
    else:
        flavour = "fast"
    if len(words) < 2:
        raise ProofError("write SUBJECT : TEST, or SUBJECT : TEST : FLAVOUR")
    return Proof(" : ".join(words[:-1]), words[-1].strip(), flavour)


def fixes():
    """The fixes that have a test. Raises ProofError."""
    found = []
    for number, line in lines_of(FIXES):
        try:
            found.append(read_fix(line))
            found[-1].check()
        except ProofError as error:
            raise ProofError(f"ci/fixes.txt:{number}: {error}") from None
    return found


def read_mutant(path):
    """A mutant, by the comments at the head of its file."""
    values = {}
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            if line.startswith(("--- ", "diff ")):
                break
            if match := re.fullmatch(r"# ([a-z]+): (.*\S)\s*", line):
                if match[1] not in KEYS or match[1] in values:
                    raise ProofError(f"'# {match[1]}:' is " + ("given twice" if match[1] in values else
                                     f"no key of a mutant; keys are {', '.join(sorted(KEYS))}"))
                values[match[1]] = match[2]
    name = os.path.basename(path)
    if not re.fullmatch(r"[A-Z][1-9][0-9]*(-[a-z0-9-]+)?\.diff", name):
        raise ProofError("write the name as NUMBER.diff or NUMBER-name.diff")
    for key in ("test", "why"):
        if key not in values:
            raise ProofError(f"its head lacks '# {key}: ...'")
    return Proof(name, values["test"], values.get("flavour", "fast"), path,
                 values["bases"].split() if "bases" in values else None, values.get("point"), values["why"])


def mutants():
    """All mutants. Raises ProofError."""
    found = []
    for path in sorted(glob.glob(os.path.join(MUTANTS, "*.diff"))):
        try:
            found.append(read_mutant(path))
            found[-1].check()
        except ProofError as error:
            raise ProofError(f"{os.path.relpath(path, TOP)}: {error}") from None
    return found


def shown_by(kind, value):
    """What is wrong with "KIND VALUE" of a fault, or None."""
    if kind == "test":
        there = os.access(os.path.join(TOP, value), os.X_OK) if "/" in value else guest_test(value)
        return None if there else f"there is no test '{value}'"
    if kind == "mutant":
        return None if os.path.exists(os.path.join(MUTANTS, value)) else f"there is no ci/mutants/{value}"
    if kind == "fix":
        return None if any(fix.name == value for fix in fixes()) else f"ci/fixes.txt has no fix '{value}'"
    if kind == "open":
        return None
    if kind == "documented":
        file, colon, words = value.partition(": ")
        path = os.path.join(TOP, file)
        if not colon or not os.path.isfile(path):
            return f"write 'documented FILE: WORDS', where FILE is there ('{file}')"
        with open(path, encoding="utf-8") as stream:
            text = " ".join(stream.read().split())
        return None if " ".join(words.split()) in text else f"{file} does not say '{words}'"
    return f"'{kind}' is none of: test, mutant, fix, documented, open"


def faults():
    """{number: [(kind, value), ...]} of ci/faults.txt, and all that is wrong with it."""
    found, problems = {}, []
    for number, line in lines_of(FAULTS):
        match = re.fullmatch(r"([A-Z][1-9][0-9]*) : +(\w+) +(.*)", line)
        if not match:
            problems.append(f"ci/faults.txt:{number}: write 'NUMBER : test|mutant|fix|documented|open ...'")
            continue
        shown = found.setdefault(match[1], [])
        problem = shown_by(match[2], match[3])
        shown.append((match[2], match[3]))
        problems += [f"ci/faults.txt:{number}: {problem}"] if problem else []
    problems += _gaps(found) + _strangers(found)
    return found, problems


def _gaps(found):
    """Numbers that are left out."""
    last = {}
    for letter, number in (NUMBER.fullmatch(name).groups() for name in found):
        last[letter] = max(last.get(letter, 0), int(number))
    return [f"ci/faults.txt lacks {letter}{number}" for letter, end in sorted(last.items())
            for number in range(1, end + 1) if f"{letter}{number}" not in found]


def _strangers(found):
    """Mutants of which no fault says that they show it."""
    named = {value for shown in found.values() for kind, value in shown if kind == "mutant"}
    return [f"no line of ci/faults.txt names {os.path.basename(path)}"
            for path in sorted(glob.glob(os.path.join(MUTANTS, "*.diff"))) if os.path.basename(path) not in named]


def fixes_nowhere(bases):
    """Fixes that no base has."""
    there = set().union(*(subjects(base) for base in bases))
    return [f"ci/fixes.txt: no base has a patch '{fix.name}'" for fix in fixes() if fix.name not in there]
