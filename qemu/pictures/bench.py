# SPDX-License-Identifier: GPL-2.0-or-later
"""What the report of the benchmark shows (Documentation/bench.md has its fields)."""
from golden.report import mib

from . import page
from .page import element

# What a row is, by the class of its bars.
KINDS = {"series": "EROFS with the series", "base": "EROFS on the unpatched base", "peer": "another file system"}


def kind_of(row):
    """One of KINDS."""
    if row["fstype"] != "erofs":
        return "peer"
    return row["kernel"]


def figure(value, column):
    """A value with its unit."""
    return f"{value:,.{column['digits']}f} {column['unit']}".strip()


def chart(column, rows):
    """One column of the table as bars, None if no row has it."""
    name = column["name"]
    if not any(name in row["values"] for row in rows):
        return None
    whole, lines = max(row["values"].get(name, 0) for row in rows), []
    for row in rows:
        if name not in row["values"]:
            lines.append((row["id"], None, "\u2013", ""))
            continue
        value, ratio = row["values"][name], row["ratios"].get(name)
        lines.append((row["id"], page.bar(f"{row['id']}: {figure(value, column)}", [(value, kind_of(row))], whole),
                      figure(value, column), f"{ratio:.3f}" if ratio else ""))
    columns = ["row", "", name, "series / base"]
    if not any(line[3] for line in lines):
        columns, lines = columns[:3], [line[:3] for line in lines]
    return page.table(element("span", element("b", name), ": " + column["what"]), columns, lines)


def charts(heading, text, report, rows):
    """All columns of some rows; None if there are no rows."""
    if not rows:
        return None
    key = element("table", element("caption", "The rows"), element("thead", element("tr", *(
        element("th", title, scope="col") for title in ("row", "what it is", "mount options")))), element("tbody", *(
            element("tr", element("th", row["id"], scope="row"), element("td", row["what"]),
                    element("td", "" if row["options"] == "-" else "-o " + row["options"])) for row in rows)), class_="key")
    kinds = [kind for kind in KINDS if kind in map(kind_of, rows)]
    return page.section(
        heading, element("p", text), key,
        page.legend([((("class_", kind),), KINDS[kind]) for kind in kinds]),
        element("div", *(chart(column, rows) for column in report["columns"]), class_="charts"))


def limits(table):
    """What sharing must hold to, each value as a part of its limit."""
    if not table:
        return None
    rows, whole = [], max([1.0] + [line["value"] / line["limit"] for line in table if line["limit"]])
    for line in table:
        digits = 1 if line["unit"] else 4
        value = f"{line['value']:,.{digits}f} {line['unit']}".strip()
        if line["limit"] is None:
            rows.append((line["what"], None, value, "", ""))
            continue
        limit = f"{line['limit']:,.{digits}f} {line['unit']}".strip()
        holds = "holds" if line["holds"] else "does not hold"
        rows.append((line["what"], page.bar(f"{value} of at most {limit}: {holds}", [
            (line["value"] / line["limit"], "series" if line["holds"] else "over")], whole), value, limit, holds))
    return page.section("What sharing must hold to",
                        page.table("Bars are parts of the limit", ("figure", "", "measured", "at most", "limit"), rows))


def document(report):
    """The whole page."""
    work = report["workload"]
    versions = [row for row in report["rows"] if row["device"].endswith(":versions")]
    plain = [row for row in report["rows"] if row not in versions]
    return page.document(
        f"What it costs to visit {work['files']:,} files, {mib(work['bytes'])}",
        [element("p", "Times are the CPU time of the program that visits the files, in guests whose clock counts "
                      "instructions: 1 ms is 1 million instructions. Waiting for a disk is not in them. "
                      "Shorter bars are better.")],
        charts("One image, on each backend", "Each row is one guest.", report, plain),
        charts("Two versions of the image in one guest", "Memory is that of both together.", report, versions),
        limits(report.get("sharing")),
        element("footer", element("p", "Made by make bench; Documentation/bench.md says what each figure means.")))
