#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints which share of lines and branches the tests have run, per file and in all, and judges it.

    coverage.py BUILD    a build folder made with -Db_coverage=true, after its tests

The last line is a verdict; exit status 1 if a goal is missed.
"""

import json
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LINES_OVERALL = 85
BRANCHES = 95
THOROUGH = ("router/decide.c", "router/ledger.c", "router/json_scan.c", "router/envelope.c")
# What the macros of GLib decide is not for our tests: that memory is there, that an assertion holds.
MACROS = r".*\b(g_assert\w*|g_return\w*|g_(re)?new0?|G_DEFINE_\w+) ?\(.*"


def measure(build):
    done = subprocess.run(["gcovr", "--root", ROOT, "--object-directory", build, "--json-summary",
                           "--exclude-branches-by-pattern", MACROS, "--filter", "conf/", "--filter", "cluster/",
                           "--filter", "router/", build],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def share(covered, total):
    return 100 * covered / total if total else 100.0


def main():
    found = measure(os.path.abspath(sys.argv[1]))
    branches = {}
    print(f"{'':<32}{'lines':>8}{'%':>7}{'branches':>10}{'%':>7}")
    for file in found["files"]:
        branches[file["filename"]] = share(file["branch_covered"], file["branch_total"])
        print(f"{file['filename']:<32}{file['line_total']:>8}{share(file['line_covered'], file['line_total']):>7.1f}"
              f"{file['branch_total']:>10}{branches[file['filename']]:>7.1f}")
    lines = share(found["line_covered"], found["line_total"])
    print(f"{'all':<32}{found['line_total']:>8}{lines:>7.1f}{found['branch_total']:>10}"
          f"{share(found['branch_covered'], found['branch_total']):>7.1f}")
    missed = [f"{name}: {branches[name]:.1f} % of branches, not {BRANCHES}" for name in THOROUGH
              if branches[name] < BRANCHES]
    if lines < LINES_OVERALL:
        missed.append(f"{lines:.1f} % of all lines, not {LINES_OVERALL}")
    print(f"coverage: {len(THOROUGH) + 1 - len(missed)} goals met, {len(missed)} missed"
          + (": " + "; ".join(missed) if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
