# SPDX-License-Identifier: GPL-2.0-or-later
"""Read what qemu/pictures has drawn as a browser would, and judge its colours (ci/t/pictures.t)."""
import html.parser
import itertools
import re
import xml.etree.ElementTree as ET

# How red, green and blue look to those who see little red, green or blue: linear RGB, rows of a
# matrix (Machado, Oliveira and Fernandes, 2009, severity 1.0).
SIGHT = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


class Drawn(html.parser.HTMLParser):
    """The document as a tree of elements; AssertionError if a tag is not closed where it should be."""

    def __init__(self, path):
        super().__init__()
        with open(path, encoding="utf-8") as stream:
            self.source = stream.read()
        self.root = ET.Element("document")
        self.stack = [self.root]
        self.feed(self.source)
        self.close()
        assert self.stack == [self.root], f"not closed: {[e.tag for e in self.stack[1:]]}"

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"{tag}: an attribute twice: {attrs}"
        made = ET.SubElement(self.stack[-1], tag, dict(attrs))
        if tag != "meta":
            self.stack.append(made)

    def handle_endtag(self, tag):
        assert self.stack[-1].tag == tag, f"</{tag}> closes <{self.stack[-1].tag}>"
        self.stack.pop()

    def handle_data(self, data):
        children = list(self.stack[-1])
        if children:
            children[-1].tail = (children[-1].tail or "") + data
        else:
            self.stack[-1].text = (self.stack[-1].text or "") + data

    def text(self, tag):
        """The text of each element of this kind."""
        return ["".join(found.itertext()) for found in self.root.iter(tag)]

    def rows(self, caption):
        """{name: (picture or None, [figures])} of the table whose caption begins so, and its headings."""
        table = next(t for t in self.root.iter("table") if "".join(t.find("caption").itertext()).startswith(caption))
        rows = {}
        for row in table.find("tbody"):
            name, drawn, *values = row
            name = "".join(name.itertext())
            assert name not in rows, f"two rows {name}"
            rows[name] = drawn.find("svg"), ["".join(value.itertext()) for value in values]
        return rows

    def svgs(self):
        """The source of each picture."""
        return re.findall("<svg.*?</svg>", self.source, re.DOTALL)


def boxes(picture):
    """[(class, opacity, left, width, height)] of all boxes of a picture, from left to right."""
    found = []
    for path in picture.iter("path"):
        for left, bottom, high, width, back in re.findall(r"M([\d.]+) ([\d.]+)v-([\d.]+)h([\d.]+)v([\d.]+)z", path.get("d")):
            assert high == back and float(high) <= float(bottom)
            found.append((path.get("class"), path.get("fill-opacity"), float(left), float(width), float(high)))
        assert re.fullmatch(r"(M[\d.]+ [\d.]+v-[\d.]+h[\d.]+v[\d.]+z)+", path.get("d")), path.get("d")
    return sorted(found, key=lambda box: box[2])


def colours(style):
    """[{name: (r, g, b) from 0 to 1, linear}] of the light and of the dark scheme."""
    schemes = []
    for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        found = {}
        for name, value in re.findall(r"--(\S+): #([0-9a-f]+);", block):
            value = "".join(c * 2 for c in value) if len(value) == 3 else value
            parts = [int(value[i:i + 2], 16) / 255 for i in (0, 2, 4)]
            found[name] = tuple(p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        schemes.append(found)
    return schemes


def contrast(one, other):
    """The ratio of WCAG 2, 1 to 21."""
    light = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05 for r, g, b in (one, other))
    return light[1] / light[0]


def _lab(colour):
    """CIE L*a*b*, D65."""
    r, g, b = (min(1, max(0, c)) for c in colour)
    xyz = ((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505, 0.2126 * r + 0.7152 * g + 0.0722 * b,
           (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089)
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def closest(found, names):
    """(distance, sight, pair) of the two colours that are hardest to tell apart, whoever looks."""
    def seen(colour, matrix):
        return _lab([sum(m * c for m, c in zip(row, colour)) for row in matrix])

    return min((sum((a - b) ** 2 for a, b in zip(seen(found[one], matrix), seen(found[other], matrix))) ** 0.5,
                sight, (one, other)) for sight, matrix in SIGHT.items() for one, other in itertools.combinations(names, 2))
