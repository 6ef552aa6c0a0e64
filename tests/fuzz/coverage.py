#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Prints which share of each parser its committed corpus runs, and judges it.

    coverage.py BUILD TARGET...    a build folder made with -Db_coverage=true, in which the targets are built

Each target is replayed alone, so that a parser counts as covered only by inputs that are meant for it.
The last line is a verdict; exit status 1 if a goal is missed.
"""

import json
import os
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
GOAL = 90
# What the macros of GLib decide is not for inputs: that memory is there, that an assertion holds.
MACROS = r".*\b(g_assert\w*|g_return\w*|g_(re)?new0?|G_DEFINE_\w+) ?\(.*"

# The files that read what came from outside; what they hand it to is for other tests.
PARSERS = {
    "catalogue": ["cluster/merge.c", "cluster/catalogue_cluster.c"],
    "conf": ["conf/conf_text.c", "conf/conf_reader.c", "conf/conf_fill.c", "conf/conf_build.c", "conf/conf_value.c",
             "conf/conf_source.c", "conf/conf_destination.c", "conf/conf_policy.c", "conf/conf_reference.c",
             "conf/conf_check.c", "conf/conf_loop.c", "conf/conf_fault.c", "conf/conf_nearest.c", "conf/name.c"],
    "control": ["router/control_request.c"],
    "envelope": ["router/envelope.c", "router/key_template.c"],
    "http": ["router/http.c"],
    "json_scan": ["router/json_scan.c", "router/json_skip.c", "router/json_unit.c", "router/json_fields.c"],
    "ledger": ["router/ledger.c"],
    "publication": ["router/message.c", "router/publication.c"],
    "redis": ["cluster/liveness.c", "cluster/announcement.c", "cluster/redis_link.c"],
    "state": ["cluster/saved_view.c", "router/crashes.c"],
    "stored": ["router/ctl/stored.c", "router/ctl/message_file.c", "router/ctl/fields.c"],
    "url": ["conf/conf_url.c"],
}


def counters(folder):
    return [os.path.join(path, file) for path, _, files in os.walk(folder) for file in files if file.endswith(".gcda")]


def replay(build, target):
    for file in counters(build):
        os.unlink(file)
    subprocess.run([os.path.join(build, "tests", "fuzz", "fuzz_" + target),
                    os.path.join(ROOT, "tests", "fuzz", "corpus", target)], stdout=subprocess.DEVNULL, check=True)


def measure(build, target):
    filters = [word for file in PARSERS[target] for word in ("--filter", file + "$")]
    done = subprocess.run(["gcovr", "--root", ROOT, "--object-directory", build, "--json-summary",
                           "--exclude-branches-by-pattern", MACROS, *filters, build],
                          cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return {file["filename"]: file for file in json.loads(done.stdout)["files"]}


def share(covered, total):
    return 100 * covered / total if total else 100.0


def show(build, target):
    """Prints the rows of a target; the files below the goal."""
    replay(build, target)
    found, missed = measure(build, target), []
    for name in PARSERS[target]:
        file = found[name]
        lines = share(file["line_covered"], file["line_total"])
        branches = share(file["branch_covered"], file["branch_total"])
        print(f"{target:<14}{name:<32}{file['line_total']:>7}{lines:>7.1f}{file['branch_total']:>10}{branches:>7.1f}",
              flush=True)
        if lines < GOAL:
            missed.append(f"{name} {lines:.1f} %")
    return missed


def main():
    build, targets = os.path.abspath(sys.argv[1]), sys.argv[2:]
    print(f"{'target':<14}{'parser':<32}{'lines':>7}{'%':>7}{'branches':>10}{'%':>7}")
    missed = [name for target in targets for name in show(build, target)]
    print(f"coverage: {sum(len(PARSERS[target]) for target in targets)} parsers, {len(missed)} below {GOAL} % of lines"
          + (": " + "; ".join(missed) if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
