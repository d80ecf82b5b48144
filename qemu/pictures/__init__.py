# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports of make demo and make bench as one HTML file each, with bars and strips in SVG.

    path = pictures.draw(report, "report.json")     # report.html

    page     elements, tables with a picture in each row, the whole document
    demo     what the report of the demo shows
    bench    what the report of the benchmark shows

A file needs nothing else: no script, no other file, no network.  Each picture stands in a
row of a table that has its figures as text.
"""
from . import bench, demo, page


def draw(report, path):
    """Draw a report, whichever it is, beside its JSON file `path`. Returns the path of the drawing."""
    path = path.removesuffix(".json") + ".html"
    page.write(path, bench.document(report) if "rows" in report else demo.document(report))
    return path
