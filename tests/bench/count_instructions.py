#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counts the instructions that the router spends on reading a message and deciding, and compares with a file.

    count_instructions.py PROGRAM [--update]

Only instructions of our own code count, as valgrind executes them: what the libraries do in them depends on the
processor. The same compiler makes the same counts, on every machine. Speaks TAP. --update writes the file anew.
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "instructions.txt")
CREATE_VOLUME = os.path.join(HERE, "..", "data", "01-api-scheduler-create_volume.json")
MESSAGES = 1000  # as in count_instructions.c
MORE = 0.03

HEAD = """\
# Instructions per message for reading it and deciding, in our own code, compiled by gcc 12 with -O2 for x86-64.
# A test fails if one grows by more than 3 %; tests/bench/count_instructions.py --update writes this file.
"""

CASES = {
    "512 B, 2 clusters": ["2"],
    "512 B, 10000 clusters": ["10000"],
    "8 kB oslo, 2 clusters": ["2", CREATE_VOLUME],
}

# A number, or a name that stands for it from here on.
OBJECT = re.compile(r"ob=\((\d+)\)(?: (.*))?")


def own_instructions(lines, program):
    """The sum of the costs of all functions of that object; what it calls is not included."""
    names, total, ours, call = {}, 0, False, False
    for line in lines:
        found = OBJECT.match(line)
        if found:
            if found.group(2):
                names[found.group(1)] = found.group(2)
            ours = names[found.group(1)] == program
        elif line.startswith("cob=("):
            number, _, name = line[len("cob=("):].rstrip("\n").partition(")")
            if name:
                names[number] = name.strip()
        elif line.startswith("calls="):
            call = True
        elif line[0] in "0123456789+-*":
            if ours and not call:
                total += int(line.split()[1])
            call = False
    return total


def count(program, arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out")
        done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=measured", "--dump-line=no",
                               f"--callgrind-out-file={path}", program, *arguments],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"valgrind ended with {done.returncode}: {done.stderr}")
        with open(path, encoding="utf-8") as lines:
            return round(own_instructions(lines, os.path.realpath(program)) / MESSAGES)


def read_expected():
    with open(EXPECTED, encoding="utf-8") as file:
        rows = (line.rsplit(None, 1) for line in file if not line.startswith("#"))
        return {name: int(number) for name, number in rows}


def compare(counts):
    expected, failed = read_expected(), 0
    print(f"1..{len(counts)}")
    for number, (name, now) in enumerate(counts.items(), 1):
        before = expected.get(name, 0)
        well = now <= before * (1 + MORE)
        failed += not well
        print(f"{'ok' if well else 'not ok'} {number} /instructions/{name.replace(', ', '-').replace(' ', '-')}")
        print(f"# {name}: {now} instructions, {before} in {os.path.basename(EXPECTED)}")
    return 1 if failed else 0


def main():
    program, *options = sys.argv[1:]
    counts = {name: count(program, arguments) for name, arguments in CASES.items()}
    if options == ["--update"]:
        with open(EXPECTED, "w", encoding="utf-8") as file:
            file.write(HEAD + "".join(f"{name:<24} {number}\n" for name, number in counts.items()))
        return 0
    return compare(counts)


if __name__ == "__main__":
    sys.exit(main())
