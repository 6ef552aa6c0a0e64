#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the dashboard's files as C: embed.py OUTPUT.c FILE..."""

import pathlib
import sys

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PLAIN = set(range(32, 127)) - set(b'"\\?')


def quote(line):
    return '"' + "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in line) + '"'


def main(output, *sources):
    texts, rows = [], []
    for number, source in enumerate(map(pathlib.Path, sources)):
        path = "/" if source.name == "index.html" else "/" + source.name.replace(".min", "")
        lines = "\n".join(map(quote, source.read_bytes().splitlines(keepends=True)))
        texts.append(f"static const char text_{number}[] =\n{lines};\n")
        rows.append(f'{{"{path}", "{TYPES[source.suffix]}", text_{number}, sizeof(text_{number}) - 1}},\n')
    pathlib.Path(output).write_text(
        '#include "router/web.h"\n\n' + "".join(texts) + "const WebFile web_files[] = {\n" + "".join(rows) +
        f"}};\nconst size_t n_web_files = {len(rows)};\n", encoding="ascii")


main(*sys.argv[1:])
