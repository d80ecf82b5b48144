# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements, tables with a picture in each row, and the document around them.

Everything is an xml.etree element until write(), so that no text of a report, which has
file names and lines of guests in it, can become markup.  Pictures are stretched to the
width that there is, so they hold no text.
"""
import os
import re
import xml.etree.ElementTree as ET

import harness

# What XML cannot hold, and what would change the direction of the text around it.
UNFIT = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
# Units of a picture's width; it is stretched.
WIDTH = 1000
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def clean(text):
    """Text that any document can hold."""
    return UNFIT.sub("\ufffd", str(text))


def element(tag, *content, **attributes):
    """An element; content is text, elements, or None.  A final "_" of an attribute's name is dropped, others are "-"."""
    made = ET.Element(tag, {name.rstrip("_").replace("_", "-"): clean(value) for name, value in attributes.items()
                            if value is not None})
    last = None
    for part in content:
        if isinstance(part, ET.Element):
            made.append(part)
            last = part
        elif part is not None and last is None:
            made.text = (made.text or "") + clean(part)
        elif part is not None:
            last.tail = (last.tail or "") + clean(part)
    return made


def picture(what, shapes, height=1, class_="bar"):
    """A drawing of WIDTH by `height` units; `what` says in words what it shows."""
    return element("svg", element("title", what), *shapes, class_=class_, role="img", aria_label=what,
                   viewBox=f"0 0 {WIDTH} {height}", preserveAspectRatio="none")


def _number(value):
    return f"{value:.2f}".rstrip("0").rstrip(".")


def stretches(pieces, whole, height=1):
    """A path for each kind of stretch.

    `pieces` are (start, length, kind), or with a fourth member: how much of `height` is filled, from the bottom;
    `kind` is the attributes of the path, a tuple of pairs.  Lengths are those of `whole`.
    """
    paths, before = {}, None
    for start, length, kind, *filled in pieces:
        high = filled[0] if filled else height
        if before and before[0] == start and before[1:] == (kind, high):
            paths[kind][-1][1] += length
        else:
            paths.setdefault(kind, []).append([start, length, high])
        before = (start + length, kind, high)
    scale = WIDTH / (whole or 1)
    return [element("path", **dict(kind), d="".join(
        f"M{_number(start * scale)} {_number(height)}v{_number(-high)}h{_number(length * scale)}v{_number(high)}z"
        for start, length, high in parts)) for kind, parts in paths.items()]


def bar(what, parts, whole):
    """A bar of several parts, (value, class) each, one after the other; what is negative is left out."""
    pieces, at = [], 0
    for value, kind in parts:
        if value > 0:
            pieces.append((at, value, (("class_", kind),)))
            at += value
    return picture(what, stretches(pieces, whole))


def legend(entries):
    """What the colours mean: (attributes of the swatch, text) each."""
    return element("ul", *(element("li", element(
        "svg", element("rect", width="1", height="1", **dict(kind)), class_="swatch", viewBox="0 0 1 1",
        aria_hidden="true"), " ", text) for kind, text in entries), class_="legend")


def scale(marks):
    """Text over the pictures of a table, from the left to the right end."""
    return element("span", *(element("span", mark) for mark in marks), class_="scale")


def table(caption, columns, rows, looks=""):
    """A table whose rows begin with a name and a picture.

    `columns` are the headings of name, picture and figures; a row is (name, picture, figures...), with None for
    no picture.
    """
    head = element("tr", *(element("th", column, scope="col", class_=class_) if column else element("td", class_=class_)
                           for column, class_ in zip(columns, [None, "picture"] + [None] * len(columns))))
    body = [element("tr", element("th", name, scope="row"), element("td", drawn, class_="picture"),
                    *(element("td", value) for value in values)) for name, drawn, *values in rows]
    return element("table", element("caption", caption), element("thead", head), element("tbody", *body),
                   class_=f"rows of-{len(columns) - 2} {looks}".strip())


def section(heading, *content):
    """A part of the document, None for what it lacks."""
    return element("section", element("h2", heading), *content)


def document(title, lead, *sections):
    """The whole; `lead` are lines below the title."""
    with open(os.path.join(os.path.dirname(__file__), "style.css"), encoding="utf-8") as stream:
        style = stream.read()
    head = element("head", element("meta", charset="utf-8"),
                   element("meta", http_equiv="Content-Security-Policy", content=POLICY),
                   element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                   element("meta", name="color-scheme", content="light dark"),
                   element("title", title), element("style", style))
    body = element("body", element("main", element("header", element("h1", title), *lead), *sections))
    return element("html", head, body, lang="en")


def write(path, root):
    """Write a document."""
    harness.write_text(path, "<!DOCTYPE html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n")
