#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the migrations as C: embed_sql.py OUTPUT.c schema/NNN_NAME.sql ..."""

import pathlib
import re
import sys


def quote(line):
    return '"' + line.replace('\\', '\\\\').replace('"', '\\"') + '\\n"'


def main(output, *sources):
    rows = []
    for number, source in enumerate(sorted(map(pathlib.Path, sources), key=lambda path: path.name), 1):
        match = re.fullmatch(r'(\d{3})_(\w+)', source.stem)
        if not match or int(match[1]) != number:
            sys.exit(f'{source}: expected a name that begins with {number:03d}_')
        text = '\n'.join(quote(line) for line in source.read_text(encoding='utf-8').splitlines())
        rows.append(f'{{{number}, "{match[2]}",\n{text}}},')
    pathlib.Path(output).write_text(
        '#include "cluster/migration.h"\n\nconst Migration migrations[] = {\n' + '\n'.join(rows) +
        f'\n}};\nconst size_t n_migrations = {len(rows)};\n', encoding='utf-8')


main(*sys.argv[1:])
