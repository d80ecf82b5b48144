# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's report, what in it speaks against sharing, and what a person sees of it."""
from harness import MIB

from . import containers

# A page that N guests have counts 1/N for each, and less if others on this host
# have it too.  Pages that not all of them touch (each kind of device probes
# other places) move this by little.
PSS_TOLERANCE = 0.15
# Characters in a line of the table of parts.
CELLS = 64


def mib(value):
    """Bytes as MiB, for a person."""
    return f"{value / MIB:.1f} MiB"


def of_image(pages, ids):
    """What hostpages says of the image, as a part of the report; `ids` has a guest's id by its process."""
    report = {key: pages[key] for key in ("image_bytes", "unique_bytes", "private_copies_bytes", "saved_bytes",
                                          "shared_by", "mapped_by")}
    report["parts"] = [{**part, **{key: [ids[pid] for pid in part[key]] for key in ("touched_by", "mapped_by")}}
                       for part in pages["parts"]]
    return report


def fair_share(report, guest):
    """What a guest is to be charged of the image, if it is in memory once.

    Guests that verify every file have all of the same pages; where others have less, each
    page is divided by those that have it.
    """
    if all(g["verifies"] for g in report["guests"]):
        return guest["image_rss_bytes"] / len(report["guests"])
    return sum(part["length"] / len(part["touched_by"]) for part in report["parts"]
               if guest["id"] in part["touched_by"])


def against_guest(report, guest, wanted):
    """What speaks against one guest."""
    who, against = f"guest {guest['id']}", []
    if guest["verifies"] and (not guest["tree_ok"] or guest["files_verified"] != wanted):
        against.append(f"{who} verified {guest['files_verified']} of {wanted} files")
    against += [f"{who}: {name} from the image failed"
                for name, result in guest["programs"].items() if result == "failed"]
    if guest["stays"] == "failed":
        against.append(f"{who}: no program from the image stayed while the host counted")
    share = fair_share(report, guest)
    if guest["image_pss_bytes"] > (1 + PSS_TOLERANCE) * share:
        against.append(f"{who} is charged {mib(guest['image_pss_bytes'])} of the image, "
                       f"more than a fair share of {mib(share)}")
    if not guest["image_rss_bytes"]:
        against.append(f"{who} has nothing of the image in memory")
    return against


def judge(report, wanted):
    """The result as one word, and all that speaks against "shared"."""
    against = [line for guest in report["guests"] for line in against_guest(report, guest, wanted)]
    if report["unique_bytes"] > report["image_bytes"]:
        against.append("more than one copy of the image is in host memory")
    if not report["image_unchanged"]:
        against.append("the image's checksum changed")
    against += containers.judge(report.get("containers"))
    if against:
        return "failed", against
    if len(report["guests"]) == 1:
        return "one guest", ["one guest shares with nobody; GUESTS=2 or more shows sharing"]
    return "shared", []


def headline(report):
    """What the report is of."""
    n = len(report["guests"])
    return f"One EROFS image of {mib(report['image_bytes'])}, {n} guest{'s' * (n > 1)}, under {report['accel']}"


def in_short(report):
    """What the host holds of the image, a sentence a line."""
    n = len(report["guests"])
    copies = report["unique_bytes"] / max(1, report["private_copies_bytes"]) * n
    if not all(g["verifies"] for g in report["guests"]):
        copies = report["unique_bytes"] / report["image_bytes"]
    return [f"In host memory: {mib(report['unique_bytes'])} of the image, "
            f"{'ONE copy' if copies < 1.2 else f'{copies:.1f} copies'} for {n} guest{'s' * (n > 1)}.",
            f"{n} private cop{'ies' if n > 1 else 'y'} would take {mib(report['private_copies_bytes'])}; "
            f"saved: {mib(report['saved_bytes'])}.",
            f"The image's checksum is {'unchanged' if report['image_unchanged'] else 'NOT THE SAME'}."]


def print_guests(report):
    """A line for each guest, and the sums."""
    print()
    print(headline(report))
    print()
    print("guest  memory, mounted from   files     page cache   image pages    charged for   writes that")
    print("                              verified  and buffers  in host mem.   them (PSS)    reached it")
    for g in report["guests"]:
        if g["verifies"]:
            does = (f"{g['files_verified']:>7}{' ' if g['tree_ok'] else '!'}"
                    f" {g['cached_kib'] + g['buffers_kib']:>9} KiB")
            writes = f"{g['writes_that_reached_the_image']} of {g['write_attempts']}"
        else:
            does, writes = f"{'runs a program':<22}", "-"
        print(f"{g['id']:>5}  {g['device']:<9}{g['node']:<13} {does}  {mib(g['image_rss_bytes']):>12}"
              f"  {mib(g['image_pss_bytes']):>13}   {writes}")
    print()
    for line in in_short(report):
        print(line)


def in_all(report):
    """What all guests take of the host, as a sentence."""
    n = len(report["guests"])
    return (f"In all: {mib(report['host_bytes'])} for {n} guest{'s' * (n > 1)} with the image, "
            f"{mib(report['host_bytes'] / n)} for each of them.")


def print_own_memory(report):
    """What each guest takes beyond the image."""
    guests = report["guests"]
    print()
    print("Host memory beyond the image, each page divided by the processes that map it")
    print()
    print("guest  memory  the guest's own  QEMU's own      together")
    for g in guests:
        print(f"{g['id']:>5}  {g['memory_bytes'] // MIB:>3} MiB  {mib(g['own_guest_bytes']):>15} "
              f"{mib(g['own_qemu_bytes']):>11} {mib(g['own_guest_bytes'] + g['own_qemu_bytes']):>13}")
    print(f"{'all':>5}           {mib(report['own_guest_bytes']):>14} {mib(report['own_qemu_bytes']):>11} "
          f"{mib(report['own_bytes']):>13}")
    print(in_all(report))


def cells_of(report, guest, count):
    """Each of `count` equal stretches of the image as a character: what `guest` has of it."""
    cell_bytes = report["image_bytes"] / count
    touched, mapped = [0.0] * count, [0.0] * count
    for part in report["parts"]:
        for cells, users in ((touched, part["touched_by"]), (mapped, part["mapped_by"])):
            at, end = part["start"], min(part["start"] + part["length"], report["image_bytes"])
            while guest in users and at < end:
                cell = int(at / cell_bytes)
                step = min(end, (cell + 1) * cell_bytes) - at
                cells[cell] += step
                at += step
    return "".join("#" if m * 2 >= cell_bytes else "+" if m else "-" if t else "." for t, m in zip(touched, mapped))


def by_users(report):
    """Yield (least, most, bytes): what so many guests have mapped; from nine guests on by halves of their number."""
    count = len(report["guests"])
    below = count + 1
    while below > 1:
        least = below - 1 if count <= 8 or below > count else max(1, below // 2)
        yield least, below - 1, sum(by["bytes"] for by in report["mapped_by"] if least <= by["guests"] < below)
        below = least


def users_in_words(report):
    """The same as words: "4 guests: 1.4 MiB"."""
    count = len(report["guests"])
    return [f"{least}{f' to {most}' * (most > least)}{' guests' * (least == count)}: {mib(size)}"
            for least, most, size in by_users(report)]


def print_parts(report):
    """Which kernel has which part of the image: its own page tables and the host's in one table."""
    print()
    print(f"Parts of the image, {mib(report['image_bytes'] / CELLS)} each, that a program of the guest has mapped now")
    print("(#: half or more, +: some), that the guest has touched (-), or not (.)")
    print()
    print(f"guest  {'0 %':<{CELLS // 2}}{'100 %':>{CELLS // 2}}  mapped now")
    for g in report["guests"]:
        print(f"{g['id']:>5}  {cells_of(report, g['id'], CELLS)}  {mib(g['image_mapped_bytes']):>10}")
    print("Mapped by the programs of " + ", of ".join(users_in_words(report)) + ".")
