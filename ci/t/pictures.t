#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The pictures of make demo and make bench, from reports that are made up.

What is drawn is what the report says, whatever is in it; it is one file that needs no other,
and names in it stay text.  No guest is started.  Prints TAP.
"""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../helpers"))
import cases    # noqa: E402
from cases import TOP, case, expect    # noqa: E402
from drawn import Drawn, boxes, closest, colours, contrast    # noqa: E402
from golden.report import mib    # noqa: E402
from pictures.page import WIDTH    # noqa: E402

MIB, PAGE = 1 << 20, 4096
# All the elements that there are, and none that loads or runs anything.
TAGS = {"document", "html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "h1", "h2",
        "p", "pre", "code", "b", "span", "div", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td",
        "svg", "path", "rect"}
ATTRIBUTES = {"lang", "charset", "http-equiv", "content", "name", "class", "scope", "role", "aria-label", "aria-hidden",
              "viewbox", "preserveaspectratio", "d", "fill-opacity", "width", "height"}
NASTY = "<script>alert(1)</script>&amp;\"'\x01\x1b[2J\u202e\udc80.erofs"


def draw(place, report):
    """What qemu/pictures makes of a report, read again."""
    path = os.path.join(place.path, "report.json")
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(report, stream)
    run = subprocess.run([sys.executable, "-B", os.path.join(TOP, "qemu", "pictures"), path], capture_output=True,
                         text=True, check=False)
    expect(run.returncode == 0 and run.stdout == f"Picture: {path[:-5]}.html\n", run.stdout, run.stderr)
    drawn = Drawn(path[:-5] + ".html")
    for svg in drawn.svgs():
        ET.fromstring(svg)
    for found in drawn.root.iter():
        expect(found.tag in TAGS, f"an element {found.tag}")
        expect(set(found.keys()) <= ATTRIBUTES, f"{found.tag}: {found.keys()}")
        if found.tag == "svg" and not found.get("aria-hidden"):
            expect(found.get("role") == "img" and found.get("aria-label") == found.find("title").text, "what is drawn")
    for word in ("http:", "https:", "url(", "@import", "//", "<script", "src=", "href="):
        expect(word not in drawn.source.replace("default-src", ""), f"'{word}' is in it")
    return drawn


def near(got, *want):
    """Numbers are those, but for what rounding to two digits takes."""
    expect(len(got) == len(want) and all(abs(a - b) < 0.02 for a, b in zip(got, want)), got, want)


def demo(count, parts, **more):
    """A report of the demo; `parts` are (MiB, guests that have it mapped), one after the other."""
    size = sum(length for length, _ in parts) * MIB
    guests = [{
        "id": i, "device": "pmem", "verifies": True, "node": "/dev/pmem0", "stays": "perl" if i % 3 == 1 else "shell",
        "image_rss_bytes": size - i * MIB, "image_pss_bytes": size // count, "memory_bytes": 256 * MIB,
        "image_mapped_bytes": sum(length for length, users in parts if i in users) * MIB,
        "own_guest_bytes": (60 + i) * MIB, "own_qemu_bytes": (20 + 2 * i) * MIB} for i in range(count)]
    made, at = [], 0
    for length, users in parts:
        made.append({"start": at, "length": length * MIB, "touched_by": list(range(count)), "mapped_by": list(users)})
        at += length * MIB
    copies = sum(g["image_rss_bytes"] for g in guests)
    own = {key: sum(g[key] for g in guests) for key in ("own_guest_bytes", "own_qemu_bytes")}
    return {"image": "build/rootfs/golden.erofs", "guests": guests, "image_bytes": size, "unique_bytes": size,
            "private_copies_bytes": copies, "saved_bytes": copies - size, "parts": made, "accel": "emulation",
            "mapped_by": [{"guests": k, "bytes": sum(length for length, users in parts if len(users) == k) * MIB}
                          for k in range(1, count + 1)],
            **own, "own_bytes": sum(own.values()), "host_bytes": sum(own.values()) + size,
            "image_unchanged": True, "result": "shared", "against": [], **more}


PARTS = [(8, ()), (4, (0, 1, 2)), (2, (1,)), (1, (0, 2)), (17, ())]
CONTAINERS = {"contents_ok": True, "image_bytes": [1, 1], "cached_kib_private": 4096, "cached_kib_shared": 2048,
              "slab_kib_private": 1024, "slab_kib_shared": 2048, "saved_kib": 2048, "slab_cost_kib": 1024,
              "kernel_saved_kib": 2048}


@case("one copy against many: a bar for each, of the right length")
def _(place):
    drawn = draw(place, demo(3, PARTS))
    rows = drawn.rows("Host memory that holds the image")
    expect({name: values for name, (_, values) in rows.items()} ==
           {"with sharing": [mib(32 * MIB)], "3 private copies": [mib(93 * MIB)]}, rows)
    near([box[3] for box in boxes(rows["with sharing"][0])], WIDTH * 32 / 93)
    near([box[3] for box in boxes(rows["3 private copies"][0])], *(WIDTH * i / 93 for i in (32, 31, 30)))
    expect("In host memory: 32.0 MiB of the image, ONE copy for 3 guests." in drawn.text("p"), drawn.text("p"))
    expect("Sharing is proved." in drawn.text("p"), drawn.text("p"))


@case("a strip for each guest shows where it has the image mapped")
def _(place):
    rows = draw(place, demo(3, PARTS)).rows("Parts of the image that")
    expect({n: v for n, (_, v) in rows.items()} == {"0 pmem, shell": ["5.0 MiB", "32.0 MiB"],
           "1 pmem, perl": ["6.0 MiB", "31.0 MiB"], "2 pmem, shell": ["5.0 MiB", "30.0 MiB"]}, rows)
    mapped = [box for box in boxes(rows["1 pmem, perl"][0]) if box[0] == "cell-mapped"]
    near([mapped[0][2], mapped[-1][2] + mapped[-1][3]], WIDTH * 8 / 32, WIDTH * 14 / 32)
    near([sum(box[3] for box in mapped)], WIDTH * 6 / 32)


@case("who shares is the same part in each line, in the colour of the number of guests")
def _(place):
    drawn = draw(place, demo(3, PARTS))
    rows = drawn.rows("Mapped parts of the image, by")
    steps = boxes(rows["how many guests"][0])
    expect([box[4] for box in steps] == [3, 1, 2], steps)
    near([box[3] for box in steps], *(WIDTH * i / 7 for i in (4, 2, 1)))
    looks = [box[:2] for box in steps]
    expect(len(set(looks)) == 3 and looks[1] == ("alone", None), looks)
    for name, want in (("0 pmem, shell", (0, 2)), ("1 pmem, perl", (0, 1)), ("2 pmem, shell", (0, 2))):
        got = boxes(rows[name][0])
        expect([box[:2] for box in got] == [looks[i] for i in want], name, got)
        near([box[2] for box in got], *(steps[i][2] for i in want))
        near([box[3] for box in got], *(steps[i][3] for i in want))
    expect([rows[name][1] for name in rows] == [["7.0 MiB", "2.0 MiB"], ["5.0 MiB", "0 KiB"], ["6.0 MiB", "2.0 MiB"],
                                                ["5.0 MiB", "0 KiB"]], rows)
    for text in ("3 guests: 4.0 MiB", "2 guests: 1.0 MiB", "one guest alone: 2.0 MiB"):
        expect(any(text in item for item in drawn.text("li")), text, drawn.text("li"))
    rows = drawn.rows("Mapped parts of the image by the guests")
    expect({n: v for n, (_, v) in rows.items()} ==
           {"guests 0, 1, 2": ["4.0 MiB"], "guest 1": ["2.0 MiB"], "guests 0, 2": ["1.0 MiB"]}, rows)


@case("host memory beyond the image, and page cache of the two containers")
def _(place):
    drawn = draw(place, demo(3, PARTS, containers=CONTAINERS))
    rows = drawn.rows("Host memory, each page")
    expect(rows["1 pmem, perl"][1] == ["61.0 MiB", "22.0 MiB", "83.0 MiB", "10.7 MiB"], rows["1 pmem, perl"])
    expect(rows["all"][1][:3] == ["183.0 MiB", "66.0 MiB", "249.0 MiB"], rows["all"])
    whole = 62 + 24 + 32 / 3
    near([box[3] for box in boxes(rows["2 pmem, shell"][0])], *(WIDTH * i / whole for i in (62, 24, 32 / 3)))
    rows = drawn.rows("Two versions of the image")
    expect({n: v for n, (_, v) in rows.items()} == {"without inode_share": ["4.0 MiB", "1.0 MiB"],
                                                   "with inode_share": ["2.0 MiB", "2.0 MiB"]}, rows)
    near([box[3] for box in boxes(rows["with inode_share"][0])], WIDTH * 2 / 5, WIDTH * 2 / 5)


@case("64 guests have a line each, and groups of them a short name")
def _(place):
    parts = [(1, range(64)), *((1, range(i % 3, 64, 3)) for i in range(60)), (1, (63,)), (2, ())]
    drawn = draw(place, demo(64, parts))
    for caption, more in (("Parts of the image", 0), ("Mapped parts of the image, by", 1), ("Host memory, each", 1)):
        expect(len(drawn.rows(caption)) == 64 + more, caption, len(drawn.rows(caption)))
    names = list(drawn.rows("Mapped parts of the image by the guests"))
    expect(names == ["22 guests: 0, 3, 6, 9 \u2026 63", "21 guests: 1, 4, 7, 10 \u2026 61", "21 guests: 2, 5, 8, 11 \u2026 62",
                     "64 guests: 0, 1, 2, 3 \u2026 63", "guest 63"], names)
    expect(len(drawn.source) < 500_000, len(drawn.source))


@case("one guest, nothing mapped, no containers or failed ones: said, not drawn")
def _(place):
    drawn = draw(place, demo(1, [(4, ())], result="one guest", against=["one guest shares with nobody"]))
    expect("Not proved: one guest shares with nobody." in drawn.text("p"), drawn.text("p"))
    expect("No program of any guest has mapped anything." in drawn.text("p"), drawn.text("p"))
    expect("Sharing is proved." not in drawn.text("p"), drawn.text("p"))
    drawn = draw(place, demo(2, PARTS[:2], containers={"skipped": "the kernel has no X"}))
    expect(drawn.text("pre") == ["Two containers on one kernel: not tried, the kernel has no X."], drawn.text("pre"))
    # A page cache that grew by nothing, and an image of which nothing is in memory.
    drawn = draw(place, demo(1, [(1, ())], containers=CONTAINERS | {"cached_kib_shared": -4}))
    near([box[2] for box in boxes(drawn.rows("Two versions")["with inode_share"][0])], 0)
    nothing = demo(1, [(1, ())], unique_bytes=0, private_copies_bytes=0)
    nothing["guests"][0] |= {"own_guest_bytes": 0, "own_qemu_bytes": 0, "image_pss_bytes": 0}
    draw(place, nothing)


@case("what comes from names and guests is text, whatever it is")
def _(place):
    report = demo(2, PARTS[:2], containers={"failed": f"page cache shared: {NASTY}\n</pre>"},
                  against=[f"guest 0: {NASTY} failed"], image="dir/" + NASTY.replace("/", "|"))
    report["guests"][0] |= {"stays": NASTY, "device": NASTY}
    drawn = draw(place, report)
    shown = "<script>alert(1)<|script>&amp;\"'\ufffd\ufffd[2J\ufffd\ufffd.erofs"
    expect(drawn.text("code") == [shown], drawn.text("code"))
    expect(drawn.text("pre")[0].endswith(shown.replace("|", "/") + "\n</pre>"), drawn.text("pre"))
    expect(f"Not proved: guest 0: {shown.replace('|', '/')} failed." in drawn.text("p"), drawn.text("p"))


def bench(*rows, **more):
    """A report of the benchmark; a row is (id, kernel, fstype, device, values)."""
    columns = [{"name": "mount", "unit": "ms", "digits": 2, "what": "w"}, {"name": "mmap", "unit": "ms", "digits": 1, "what": "m"},
               {"name": "cache KiB", "unit": "KiB", "digits": 0, "what": "c"}]
    return {"workload": {"files": 1234, "bytes": 3 * MIB}, "columns": columns, "rows": [
        {"id": name, "what": f"{name} in words", "kernel": kernel, "fstype": fstype, "options": "-", "device": device,
         "values": values, "ratios": {"mmap": 0.54321} if name == "erofs-dax" else {}}
        for name, kernel, fstype, device, values in rows], **more}


@case("bench: each column as bars, beside the base and the peers")
def _(place):
    drawn = draw(place, bench(
        ("erofs-dax", "series", "erofs", "pmem:erofs", {"mount": 0.1, "mmap": 150.06, "cache KiB": -4}),
        ("erofs-dax-base", "base", "erofs", "pmem:erofs", {"mount": 0.2, "mmap": 300, "cache KiB": 4536}),
        ("tmpfs", "series", "tmpfs", "blk:erofs", {"mmap": 75, "cache KiB": 1234567}),
        ("share", "series", "erofs", "blk:versions", {"mmap": 10, "cache KiB": 5}),
        sharing=[{"what": "unique", "value": 1000, "unit": "KiB", "limit": None, "holds": None},
                 {"what": "cache", "value": 1010, "unit": "KiB", "limit": 1000, "holds": False},
                 {"what": "ratio", "value": 1.002, "unit": "", "limit": 1.01, "holds": True}]))
    rows = drawn.rows("mmap: m")
    expect({n: v for n, (_, v) in rows.items()} == {"erofs-dax": ["150.1 ms", "0.543"], "erofs-dax-base": ["300.0 ms", ""],
                                                   "tmpfs": ["75.0 ms", ""]}, rows)
    drawn_as = {name: boxes(svg) for name, (svg, _) in rows.items()}
    near([drawn_as[name][0][3] for name in drawn_as], 500.2, 1000, 250)
    expect([drawn_as[name][0][0] for name in drawn_as] == ["series", "base", "peer"], drawn_as)
    rows = drawn.rows("mount: w")
    expect(rows["tmpfs"] == (None, ["\u2013"]) and rows["erofs-dax"][1] == ["0.10 ms"], rows)
    rows = drawn.rows("cache KiB: c")
    expect([v for _, v in rows.values()] == [["-4 KiB"], ["4,536 KiB"], ["1,234,567 KiB"]], rows)
    expect(not boxes(rows["erofs-dax"][0]), boxes(rows["erofs-dax"][0]))
    rows = drawn.rows("Bars are parts of the limit")
    expect([v for _, v in rows.values()] == [["1,000.0 KiB", "", ""], ["1,010.0 KiB", "1,000.0 KiB", "does not hold"],
                                             ["1.0020", "1.0100", "holds"]], rows)
    expect([boxes(rows[name][0])[0][0] for name in ("cache", "ratio")] == ["over", "series"], rows)
    expect("What it costs to visit 1,234 files, 3.0 MiB" in drawn.text("h1"), drawn.text("h1"))


@case("bench: one row alone, without base or peers, or the two versions alone")
def _(place):
    one = draw(place, bench(("ramdax", "series", "erofs", "ramdax:erofs", {"mount": 0, "mmap": 0, "cache KiB": 0})))
    expect(list(one.rows("mmap")) == ["ramdax"] and "Two versions of the image in one guest" not in one.text("h2"), one.text("h2"))
    two = draw(place, bench(("share", "series", "erofs", "blk:versions", {"mmap": 1, "cache KiB": 2})))
    expect(two.text("h2") == ["Two versions of the image in one guest"], two.text("h2"))


@case("a report that is none is refused in one line")
def _(place):
    path = os.path.join(place.path, "none.json")
    for content, text in (("{}", "lacks 'guests'"), ("x", "Expecting value"), (None, "No such file")):
        if content:
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(content)
        else:
            os.remove(path)
        run = subprocess.run([sys.executable, "-B", os.path.join(TOP, "qemu", "pictures"), path], capture_output=True,
                             text=True, check=False)
        expect(run.returncode == 1 and text in run.stderr and run.stderr.count("\n") == 1, run)
        expect(not os.path.exists(path[:-5] + ".html"), "there is a picture all the same")


@case("colours can be read and told apart by all, in the light and in the dark")
def _(place):
    schemes = colours(draw(place, demo(1, PARTS[:1])).text("style")[0])
    expect(len(schemes) == 2, schemes)
    for found in schemes:
        for ink in ("ink", "faint", "good", "bad"):
            expect(contrast(found[ink], found["paper"]) >= 4.5, ink, contrast(found[ink], found["paper"]))
        for fill in ("blue", "orange", "grey"):
            expect(contrast(found[fill], found["track"]) >= 3, fill, contrast(found[fill], found["track"]))
        for names in (("blue", "orange", "grey", "track"), ("blue", "blue-soft", "touched", "track"), ("bad", "blue")):
            distance = closest(found, names)
            expect(distance[0] >= 12, distance)


if __name__ == "__main__":
    sys.exit(cases.main(guests=False))
