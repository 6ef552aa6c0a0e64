#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counts single test cases in the testlog.json files of `meson test`.

Prints "PASSED FAILED SKIPPED" and, on stderr, a line per failed case. A program that crashed, hung or said less
than it had promised is one more failure, unless one of its cases says so already; why it gave up is told, too, since
of a long log often only the end is kept.
"""

import json
import re
import sys

SHOWN = 300
CASE = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*)$")


def tally_program(run):
    passed = failed = skipped = 0
    for line in run.get("stdout", "").splitlines():
        case = CASE.match(line)
        if line.startswith("Bail out!"):
            print(f"FAILED: {run['name']}: {line[:SHOWN]}", file=sys.stderr)
        if not case:
            continue
        if case.group(1):
            failed += 1
            print(f"FAILED: {run['name']}: {case.group(2)}", file=sys.stderr)
        elif re.search(r"# *skip", case.group(2), re.IGNORECASE):
            skipped += 1
        else:
            passed += 1
    if run["result"] not in ("OK", "SKIP") and not failed:
        failed = 1
        print(f"FAILED: {run['name']}: {run['result'].lower()}, status {run['returncode']}", file=sys.stderr)
    return passed, failed, skipped


def main():
    totals = (0, 0, 0)
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                totals = tuple(map(sum, zip(totals, tally_program(json.loads(line)))))
    print(*totals)


if __name__ == "__main__":
    main()
