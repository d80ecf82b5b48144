# SPDX-License-Identifier: GPL-2.0-or-later
"""usage: python3 -B qemu/pictures REPORT.json

Draw the report of an earlier make demo or make bench again, as REPORT.html.
"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import pictures    # noqa: E402

if len(sys.argv) != 2:
    sys.exit(__doc__.strip())
try:
    with open(sys.argv[1], encoding="utf-8") as stream:
        print("Picture: " + pictures.draw(json.load(stream), sys.argv[1]))
except (OSError, ValueError) as error:
    sys.exit(f"pictures: {sys.argv[1]}: {error}")
except KeyError as error:
    sys.exit(f"pictures: {sys.argv[1]} lacks {error}; make demo and make bench write such reports")
