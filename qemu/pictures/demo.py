# SPDX-License-Identifier: GPL-2.0-or-later
"""What the report of the demo shows (Documentation/demo.md has its fields)."""
import collections
import os

from golden import containers, report as reports
from golden.report import mib
from harness import MIB

from . import page
from .page import element

# Stretches of the image in the strip of a guest.
CELLS = 256
# What a character of cells_of() is called and looks like.
CELL_KINDS = {"#": ("cell-mapped", "half or more is mapped by a program"), "+": ("cell-some", "some is mapped"),
              "-": ("cell-touched", "read by the guest's kernel, not mapped now"), ".": ("cell-none", "not in use")}
# More guests than this have thinner lines.
MANY = 16
# Groups of guests that are shown, and guests that are named of a group.
GROUPS, NAMED = 12, 8


def kind(name, **more):
    """The looks of a shape, see page.stretches()."""
    return (("class_", name), *more.items())


def size_of(value):
    """Bytes for a person, as in the tables of the demo, but less than a MiB in KiB."""
    return mib(value) if value >= MIB else f"{value / 1024:.0f} KiB"


def name_of(guest):
    """A guest in the first column: what memory it has and which program stays in it."""
    return f"{guest['id']} {guest['device']}, {guest['stays']}"


def looks_of_users(report):
    """[(least, looks, text)] for what so many guests share, from all of them down to one."""
    bins = list(reports.by_users(report))
    looks = []
    for i, (least, most, size) in enumerate(bins):
        users = "one guest alone" if most == 1 else f"{least}{f' to {most}' * (most > least)} guests"
        looks.append((least, kind("alone") if most == 1 else
                      kind("shared", fill_opacity=f"{1 - 0.6 * i / max(1, len(bins) - 2):.2f}"), f"{users}: {size_of(size)}"))
    return looks


def one_against_many(report):
    """One copy of the image beside a private one for each guest."""
    n = len(report["guests"])
    whole = max(report["unique_bytes"], report["private_copies_bytes"])
    copies = [(g["image_rss_bytes"], "image" if i % 2 == 0 else "image-next") for i, g in enumerate(report["guests"])]
    rows = [("with sharing", [(report["unique_bytes"], "image")], report["unique_bytes"]),
            (f"{n} private copies" if n > 1 else "a private copy", copies, report["private_copies_bytes"])]
    return page.section(
        "One copy against one for each guest",
        *(element("p", line) for line in reports.in_short(report)),
        page.table("Host memory that holds the image", ("", "", "in memory"),
                   [(name, page.bar(f"{name}: {size_of(size)}", parts, whole), size_of(size)) for name, parts, size in rows]))


def whole_image(report, many):
    """A strip of the whole image for each guest."""
    size, rows = report["image_bytes"], []
    for g in report["guests"]:
        cells = reports.cells_of(report, g["id"], CELLS)
        strip = page.stretches([(i, 1, kind(CELL_KINDS[c][0])) for i, c in enumerate(cells) if c != "."], CELLS)
        what = (f"guest {g['id']}: {size_of(g['image_mapped_bytes'])} of the image mapped by its programs, "
                f"{size_of(g['image_rss_bytes'])} touched")
        rows.append((name_of(g), page.picture(what, strip, class_="strip"), size_of(g["image_mapped_bytes"]),
                     size_of(g["image_rss_bytes"])))
    return page.section(
        "The image in each guest",
        element("p", f"From the first byte of the image to its last, in {CELLS} stretches of {size_of(size / CELLS)} each. "
                     "A kernel has touched what it has read or mapped since it started."),
        page.legend([(kind(*looks[:1]), looks[1]) for looks in CELL_KINDS.values()]),
        page.table("Parts of the image that the programs of each guest have mapped",
                   ("guest", page.scale(["0", *(size_of(size * i / 4) for i in (1, 2, 3, 4))]), "mapped now", "touched"),
                   rows, many))


def mapped_parts(report, many):
    """What programs have mapped, end to end, and by how many guests each part is shared."""
    looks, parts, at = looks_of_users(report), [], 0
    for part in report["parts"]:
        if part["mapped_by"]:
            users = set(part["mapped_by"])
            parts.append((at, part["length"], next(x for least, x, _ in looks if len(users) >= least), users))
            at += part["length"]
    if not parts:
        return page.section("Who shares what is mapped", element("p", "No program of any guest has mapped anything."))
    n = len(report["guests"])
    steps = page.stretches([(start, length, look, len(users)) for start, length, look, users in parts], at, n)
    by_one = sum(by["bytes"] for by in report["mapped_by"] if by["guests"] == 1)
    most = max(len(users) for *_, users in parts)
    rows = [("how many guests", page.picture(f"how many of {n} guests have each part mapped: at most {most}", steps, n,
                                             "steps"), size_of(at), size_of(by_one))]
    for g in report["guests"]:
        mine = [part for part in parts if g["id"] in part[3]]
        alone = sum(length for _, length, _, users in mine if len(users) == 1)
        what = f"guest {g['id']}: {size_of(g['image_mapped_bytes'])} mapped, {size_of(alone)} of it by no other guest"
        rows.append((name_of(g), page.picture(what, page.stretches([part[:3] for part in mine], at), class_="strip"),
                     size_of(g["image_mapped_bytes"]), size_of(alone)))
    return page.section(
        "Who shares what is mapped",
        element("p", "Only the parts of the image that some program has mapped, side by side: what stands below each "
                     "other is the same memory of the host. The first line shows how many guests have it."),
        page.legend([(look, text) for _, look, text in looks]),
        page.table("Mapped parts of the image, by the number of guests that share them",
                   ("guest", page.scale(["0", size_of(at)]), "mapped now", "by it alone"), rows, many))


def names_of(ids):
    """A group of guests in few words."""
    if len(ids) > NAMED:
        return f"{len(ids)} guests: {', '.join(map(str, ids[:NAMED // 2]))} \u2026 {ids[-1]}"
    return f"guest{'s' * (len(ids) > 1)} {', '.join(map(str, ids))}"


def groups(report):
    """Which guests have the same mapped: the largest groups."""
    sizes = collections.Counter()
    for part in report["parts"]:
        sizes[tuple(sorted(part["mapped_by"]))] += part["length"]
    del sizes[()]
    if not sizes:
        return None
    largest = sizes.most_common(GROUPS)
    rest = sum(sizes.values()) - sum(size for _, size in largest)
    whole = largest[0][1]
    rows = [(names_of(ids), page.bar(f"{names_of(ids)}: {size_of(size)}",
                                     [(size, "alone" if len(ids) == 1 else "shared")], whole), size_of(size))
            for ids, size in largest]
    if rest:
        rows.append((f"{len(sizes) - len(largest)} other groups", None, size_of(rest)))
    return page.section(
        "Which guests share",
        element("p", "Each part of the image counts for the guests whose programs have it mapped, all of them and no others."),
        page.table("Mapped parts of the image by the guests that have them", ("guests", "", "mapped by them"), rows))


def host_memory(report, many):
    """What each guest takes of the host."""
    def parts(g):
        return [(g["own_guest_bytes"], "ram"), (g["own_qemu_bytes"], "qemu"), (g["image_pss_bytes"], "image")]

    whole = max(sum(value for value, _ in parts(g)) for g in report["guests"])
    rows = []
    for g in report["guests"]:
        own, figures = g["own_guest_bytes"] + g["own_qemu_bytes"], [size_of(value) for value, _ in parts(g)]
        what = f"guest {g['id']}: RAM {figures[0]}, QEMU {figures[1]}, its share of the image {figures[2]}"
        rows.append((name_of(g), page.bar(what, parts(g), whole), *figures[:2], size_of(own), figures[2]))
    rows.append(("all", None, size_of(report["own_guest_bytes"]), size_of(report["own_qemu_bytes"]), size_of(report["own_bytes"]),
                 size_of(sum(g["image_pss_bytes"] for g in report["guests"]))))
    return page.section(
        "Host memory of each guest", element("p", reports.in_all(report)),
        page.legend([(kind("ram"), "RAM of the guest that it has used"),
                     (kind("qemu"), "QEMU itself"), (kind("image"), "share of the image (PSS)")]),
        page.table("Host memory, each page divided by the processes that map it",
                   ("guest", "", "RAM", "QEMU", "beyond the image", "share of the image"), rows, many))


def two_containers(report):
    """Page cache of two containers, without and with sharing."""
    heading = "Two containers on one kernel"
    if not report:
        return None
    if "contents_ok" not in report:
        return page.section(heading, element("pre", containers.in_short(report)))
    values = [(what, report["cached_kib_" + mode] * 1024, report["slab_kib_" + mode] * 1024)
              for mode, what in containers.WORDS.items()]
    whole = max(cache + slab for _, cache, slab in values)
    rows = [(f"{what} inode_share",
             page.bar(f"{what} inode_share: page cache {size_of(cache)}, slab {size_of(slab)}",
                      [(cache, "image"), (slab, "qemu")], whole), size_of(cache), size_of(slab)) for what, cache, slab in values]
    return page.section(
        heading, element("p", containers.in_short(report)),
        page.legend([(kind("image"), "page cache"), (kind("qemu"), "slab")]),
        page.table(containers.HEADLINE, ("", "", "page cache", "slab"), rows))


def figures(report):
    """The figures that a reader wants first."""
    n = len(report["guests"])
    shown = [(size_of(report["unique_bytes"]), f"of the image in host memory, for {n} guest{'s' * (n > 1)}"),
             (size_of(report["saved_bytes"]), "saved, beside a private copy for each"),
             (size_of(report["own_bytes"] / n), "beyond the image for each guest, on average")]
    shared = report.get("containers") or {}
    if "saved_kib" in shared:
        shown.append((size_of(shared["saved_kib"] * 1024), "of page cache saved for two containers"))
    return element("ul", *(element("li", element("b", value), " ", what) for value, what in shown), class_="figures")


def document(report):
    """The whole page."""
    many = "many" if len(report["guests"]) > MANY else ""
    verdict = [element("p", "Sharing is proved.", class_="good")] if not report["against"] else \
        [element("p", f"Not proved: {line}.", class_="bad") for line in report["against"]]
    return page.document(
        reports.headline(report),
        [element("p", "Image: ", element("code", os.path.basename(report["image"]))), *verdict, figures(report)],
        one_against_many(report), whole_image(report, many), mapped_parts(report, many), groups(report),
        host_memory(report, many), two_containers(report.get("containers")),
        element("footer", element("p", "Made by make demo; Documentation/demo.md says what each figure means.")))
