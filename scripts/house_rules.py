#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The rules of this house that no common tool checks; run by scripts/lint.

    house_rules.py FILE ...      complaints as FILE:LINE: text; exit status 1 if there is one
    house_rules.py --self-test   shows that every rule can fail

Paths are relative to the root of the project, which must be the current directory.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

FILE_LINES, FUNCTION_LINES, NESTING = 500, 60, 3

# A file may include from its own floor and from those below. Tests may include anything, nobody includes them.
FLOORS = ["conf", "cluster", "router", "router/ctl"]
NO_ONE_INCLUDES = ("tests", "schema", "scripts", "docs")

UNSAFE = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtok|alloca)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')
# How clang-format writes the opening brace of a block; that of an initialiser or compound literal differs.
BLOCK = re.compile(r"(^|\) |\belse |\bdo |: )\{$")
STRINGS = re.compile(r"\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])*'")


def floor_of(path):
    inside = [floor for floor in FLOORS if path.startswith(floor + "/")]
    return FLOORS.index(inside[-1]) if inside else None


def check_include(path, included):
    if not os.path.exists(included):
        return f'"{included}" is not written from the root of the project'
    if path.startswith("tests/"):
        return None
    if included.startswith(tuple(name + "/" for name in NO_ONE_INCLUDES)):
        return f'"{included}": nobody includes {included.split("/")[0]}'
    own, other = floor_of(path), floor_of(included)
    if own is None or other is None:
        return f'"{included}": not between two rooms of the house ({", ".join(FLOORS)})'
    if other > own:
        return f'"{included}": {FLOORS[own]} must not include the higher floor {FLOORS[other]}'
    return None


def without_comments(text):
    """The same lines, comments and the inside of strings taken out."""
    text = STRINGS.sub('""', text)
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), text, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", text)


def check_nesting(lines):
    """Blocks inside the block of a function."""
    open_blocks = []
    for number, line in enumerate(lines, 1):
        line = line.rstrip()
        for position, character in enumerate(line):
            if character == "{":
                is_block = BLOCK.search(line[:position + 1]) and position == len(line) - 1
                # Column 0 opens a function, a struct stands in no function: neither nests.
                open_blocks.append(bool(is_block) and position > 0)
            elif character == "}" and open_blocks:
                open_blocks.pop()
        if sum(open_blocks) > NESTING and BLOCK.search(line):
            yield number, f"nested deeper than {NESTING}"


def check_c(path, text):
    lines = text.split("\n")
    if lines[0] != "/* SPDX-License-Identifier: MIT */":
        yield 1, "the first line must be /* SPDX-License-Identifier: MIT */"
    if path.endswith(".h") and "#pragma once" not in lines[:3]:
        yield 2, "a header begins with #pragma once"
    for number, line in enumerate(lines, 1):
        include = INCLUDE.match(line)
        fault = check_include(path, include.group(1)) if include else None
        if fault:
            yield number, fault
    code = without_comments(text).split("\n")
    for number, line in enumerate(code, 1):
        if re.match(r"\s*goto\b", line):
            yield number, "no goto: g_autoptr cleans up"
        unsafe = UNSAFE.search(line)
        if unsafe:
            yield number, f"{unsafe.group(1)} does not check: use the GLib function"
    yield from check_nesting(code)


def check_any(path, text):
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield lines, f"{lines} lines, {FILE_LINES} at most: which noun can move out?"
    if "SPDX-License-Identifier: MIT" not in text[:200]:
        yield 1, "the SPDX line is missing"
    if path != "scripts/house_rules.py":
        for number, line in enumerate(text.split("\n"), 1):
            if UNFINISHED.search(line):
                yield number, "unfinished: do it or open an issue"


def check_functions(paths):
    if not paths:
        return
    tags = subprocess.run(["ctags", "-o", "-", "--output-format=json", "--fields=+ne", "--kinds-C=f",
                           "--languages=C", "--langmap=C:+.h", *paths],
                          check=True, capture_output=True, text=True).stdout
    for tag in map(json.loads, tags.splitlines()):
        length = tag.get("end", tag["line"]) - tag["line"] + 1
        if length > FUNCTION_LINES:
            yield tag["path"], tag["line"], f"{tag['name']}: {length} lines, {FUNCTION_LINES} at most"


def check(paths):
    complaints = []
    c_files = [path for path in paths if path.endswith((".c", ".h"))]
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        complaints += [(path, *fault) for fault in check_any(path, text)]
        if path in c_files:
            complaints += [(path, *fault) for fault in check_c(path, text)]
    return sorted(complaints + list(check_functions(c_files)))


HEAD = "/* SPDX-License-Identifier: MIT */\n"
DEEP = "void f(void)\n{\n" + "if (a) {\n" * 4 + "}\n" * 4 + "}\n"
FLAT = "void f(void)\n{\n" + "if (a) {\n" * 3 + "int b[] = {\n1};\n" + "}\n" * 3 + "}\n"

# File, text, and a part of the complaint that must come (None: no complaint at all).
EXAMPLES = [
    ("conf/a.c", HEAD + '#include "conf/conf.h"\n' + FLAT, None),
    ("router/ctl/a.c", HEAD + '#include "router/lane.h"\n#include "conf/conf.h"\n', None),
    ("tests/unit/a.c", HEAD + '#include "router/lane.h"\n', None),
    ("conf/a.c", HEAD + '#include "cluster/view.h"\n', "higher floor cluster"),
    ("cluster/a.c", HEAD + '#include "router/lane.h"\n', "higher floor router"),
    ("router/a.c", HEAD + '#include "router/ctl/print.h"\n', "higher floor router/ctl"),
    ("router/a.c", HEAD + '#include "tests/help.h"\n', "nobody includes tests"),
    ("router/a.c", HEAD + '#include "lane.h"\n', "not written from the root"),
    ("conf/a.c", "int x;\n", "SPDX"),
    ("conf/a.h", HEAD + "int x;\n", "#pragma once"),
    ("conf/a.c", HEAD + "\n" * FILE_LINES, "500 at most"),
    ("conf/a.c", HEAD + "void\nlong_one(void)\n{\n" + "x();\n" * 60 + "}\n", "long_one: 63 lines"),
    ("conf/a.c", HEAD + "void\nfair_one(void)\n{\n" + "x();\n" * 57 + "}\n", None),
    ("conf/a.c", HEAD + DEEP, "nested deeper"),
    ("conf/a.c", HEAD + "void f(void)\n{\n        goto out;\n}\n", "no goto"),
    ("conf/a.c", HEAD + "void f(void)\n{\n        strcpy(a, b);\n}\n", "strcpy"),
    ("conf/a.c", HEAD + "/* strcpy(a, b); goto, { { { { */\nchar *s = \"gets(1)\";\n", None),
    ("conf/a.c", HEAD + "/* TODO later */\n", "unfinished"),
    ("scripts/a", "#!/bin/bash\n", "SPDX"),
]
HEADERS = ["conf/conf.h", "cluster/view.h", "router/lane.h", "router/ctl/print.h", "tests/help.h"]


def try_example(path, text):
    with tempfile.TemporaryDirectory() as root:
        os.chdir(root)
        for name in HEADERS + [path]:
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, "w", encoding="utf-8") as file:
                file.write(text if name == path else "")
        complaints = [text for _, _, text in check([path])]
        os.chdir("/")
    return complaints


def self_test():
    wrong = 0
    for path, text, expected in EXAMPLES:
        complaints = try_example(path, text)
        found = complaints == [] if expected is None else any(expected in text for text in complaints)
        if not found:
            wrong += 1
            print(f"house rules: expected {expected!r} from {path}, got {complaints}:\n{text[:200]}")
    print(f"house rules: {len(EXAMPLES) - wrong} of {len(EXAMPLES)} examples judged as expected")
    return 1 if wrong else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    complaints = check(sys.argv[1:])
    for path, line, text in complaints:
        print(f"{path}:{line}: {text}")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
