#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Documents name only what there is: commands, options and keys of clusterctl in guides and alert rules."""

import functools
import glob
import os
import re
import subprocess
import sys

ROOT = os.environ["PROJECT_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))

import tap

PLACES = ["README.md", "docs/*.md", "conf/examples/*/*"]


@functools.cache
def shown(*words):
    return subprocess.run(["clusterctl", *words, "--help"], capture_output=True, text=True, check=True).stdout


def quoted():
    """Each command line of clusterctl in the documents, as its words, and where it stands."""
    for place in PLACES:
        for path in glob.glob(os.path.join(ROOT, place)):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for line in re.findall(r"^    (?:\$ )?clusterctl (.*)|`clusterctl ([^`]*)`|[:;,] clusterctl ([^;\"]*)",
                                   text, re.MULTILINE):
                words = "".join(line).split("#")[0].split()
                yield path, words


def commands():
    """Every clusterctl command in guides and rules is one that there is, with its options"""
    known = re.findall(r"^  clusterctl ([a-z]+)(?: ([a-z]+))?", shown(), re.MULTILINE)
    verbs = {noun: {verb for other, verb in known if other == noun} for noun, _ in known}
    seen = 0
    for path, words in quoted():
        plain = [word for word in words if not word.startswith("-")]
        if not plain or not re.fullmatch("[a-z]+", plain[0]) or words[0].startswith("-"):
            continue
        noun, verb = plain[0], plain[1].rstrip(",.") if len(plain) > 1 else ""
        assert noun in verbs, (path, words)
        assert verbs[noun] == {""} or verb in verbs[noun], (path, words)
        help_text = shown(noun) if verbs[noun] == {""} else shown(noun, verb)
        for option in re.findall(r"(?<!\S)--[a-z-]+", " ".join(words)):
            assert option in help_text, f"{path}: {option} is no option of clusterctl {noun} {verb}"
        seen += 1
    assert seen > 30, seen


def programs():
    """Every option of the daemon and the agent has its place in their man pages, and clusterctl's nouns too"""
    for program, page in [("cluster-routerd", "8"), ("cluster-agent", "8")]:
        with open(os.path.join(ROOT, "docs", f"{program}.{page}.scd"), encoding="utf-8") as file:
            manual = file.read()
        text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
        for option in re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", text, re.MULTILINE):
            assert f"*{option}*" in manual, f"{program}({page}) says nothing of {option}"
    with open(os.path.join(ROOT, "docs", "clusterctl.1.scd"), encoding="utf-8") as file:
        manual = file.read()
    for noun, verb in re.findall(r"^  clusterctl ([a-z]+)(?: ([a-z]+))?", shown(), re.MULTILINE):
        assert f"## {noun} {verb}".rstrip() in manual, f"clusterctl(1) says nothing of {noun} {verb}"
        words = [noun, verb] if verb else [noun]
        for option in re.findall(r"^  (--[a-z-]+)", shown(*words), re.MULTILINE):
            assert option in manual, f"clusterctl(1) says nothing of {option}"


tap.finish(tap.run([commands, programs]))
