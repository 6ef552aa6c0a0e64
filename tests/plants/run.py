#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves the checker: builds the router with one planted bug after the other, and each must fail its test.

    run.py [NAME ...]     only these plants

A plant is a file NAME.patch beside this one. Its first lines say what is wrong, which test must fail ("Test: PROGRAM
CASE") and in which column of the verdict it shows ("Shows: lost"). They are applied to a copy of the sources, so
that no trace of them is in the router itself. The last line is "N caught, N missed"; exit status 0 only if none is.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COLUMNS = "fault runs messages lost duplicated bound misrouted altered unmarked recovery".split()
DEADLINE_S = 180

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from servers import Servers  # noqa: E402


def copy_sources(scratch):
    """Everything but what builds left behind."""
    shutil.copytree(ROOT, scratch, ignore=lambda folder, names: [
        name for name in names if folder == ROOT and (name.startswith("build") or name == ".git")])


def build(scratch, targets):
    done = subprocess.run(["ninja", "-C", f"{scratch}/build", "--quiet", *targets], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"plants: the build fails:\n{done.stdout}{done.stderr}")


def read_plant(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    program, case = re.search(r"^Test: (\S+) (\S+)$", text, re.M).groups()
    return program, case, re.search(r"^Shows: (\w+)$", text, re.M).group(1)


def patch(scratch, path, *options):
    subprocess.run(["patch", "-p1", "--quiet", *options, "-i", path], cwd=scratch, check=True)


def run_test(scratch, servers, program, case):
    """Whether it passes, what it said, and the rows of its table."""
    table = f"{scratch}/table"
    with open(table, "w", encoding="utf-8"):
        pass
    environment = {**os.environ, **servers.variables(), "FAULTS_TABLE": table, "PROJECT_ROOT": scratch,
                   "PATH": f"{scratch}/build/router:{os.environ['PATH']}"}
    done = subprocess.run([f"{scratch}/build/tests/live/test_live_{program}", "-p", case], capture_output=True,
                          text=True, env=environment, timeout=DEADLINE_S)
    with open(table, encoding="utf-8") as file:
        rows = [dict(zip(COLUMNS, line.rstrip("\n").split("\t"))) for line in file]
    return done.returncode == 0, done.stdout + done.stderr, rows


def try_plant(scratch, servers, name):
    """Applies the plant, runs its test, takes the plant out again. Whether the verdict shows it."""
    path = f"{HERE}/{name}.patch"
    program, case, column = read_plant(path)
    patch(scratch, path)
    try:
        build(scratch, ["router/cluster-routerd"])
        passes, said, rows = run_test(scratch, servers, program, case)
    finally:
        patch(scratch, path, "--reverse")
    found = sum(int(row[column]) for row in rows)
    caught = not passes and found > 0
    print(f"{'caught' if caught else 'MISSED'}: {name}: {program} {case}: {found} {column}", flush=True)
    if not caught:
        print(said[-2000:])
    return caught


def main():
    names = sys.argv[1:] or sorted(os.path.basename(path)[:-len(".patch")] for path in glob.glob(f"{HERE}/*.patch"))
    programs = {read_plant(f"{HERE}/{name}.patch")[0] for name in names}
    with tempfile.TemporaryDirectory(prefix="cluster-router-plants-") as folder:
        scratch = f"{folder}/sources"
        copy_sources(scratch)
        subprocess.run(["meson", "setup", "build"], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        build(scratch, ["router/cluster-routerd", *(f"tests/live/test_live_{program}" for program in programs)])
        with Servers(rabbits=2) as servers:
            caught = [try_plant(scratch, servers, name) for name in names]
    print(f"{sum(caught)} caught, {len(caught) - sum(caught)} missed")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main())
