# SPDX-License-Identifier: GPL-2.0-or-later
"""Judge KTAP."""
import re


def judge(lines):
    """Judge KTAP: (problem or None, reason why all was skipped or None, failed lines).

    Only the top level counts: a subtest's results are indented, and its parent's
    line sums them up.
    """
    plan, number, skipped, failed = None, 0, [], []
    for line in lines:
        if match := re.match(r"1\.\.([0-9]+)(?:\s+#\s*SKIP\s*(.*))?", line):
            if plan is not None:
                return "it printed two plans", None, failed
            plan = int(match[1])
            if plan == 0:
                return None, match[2] or "nothing to test", failed
        elif line.startswith("Bail out!"):
            return line, None, failed
        elif match := re.match(r"(not )?ok\b\s*([0-9]*)(.*)", line):
            number += 1
            if match[2] and int(match[2]) != number:
                return f"result {number} has number {match[2]}: '{line}'", None, failed
            directive = re.search(r"#\s*(SKIP|TODO)\b\s*(.*)", match[3], re.IGNORECASE)
            if directive and directive[1].upper() == "SKIP":
                skipped.append(directive[2])
            elif match[1] and not directive:
                failed.append(line)
    if plan is None:
        return "it printed no plan (1..N)", None, failed
    if number != plan:
        return f"it printed {number} of {plan} results", None, failed
    if failed:
        return f"{len(failed)} of {plan} results are not ok", None, failed
    return None, skipped[0] if len(skipped) == plan else None, failed
