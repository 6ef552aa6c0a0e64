#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Completion in bash: every noun, verb and option that --help shows is offered, and nothing else."""

import functools
import os
import re
import subprocess
import sys

ROOT = os.environ["PROJECT_ROOT"]
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))

import tap

SCRIPT = os.path.join(ROOT, "conf", "completion", "cluster-router.bash")
# As bash calls the function that is set for a program: name, word at the cursor, word before.
CALL = r"""
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
definition=$(complete -p "$1"); definition=${definition##*-F }
"${definition%% *}" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"""


def offered(*words):
    done = subprocess.run(["bash", "-u", "-c", CALL, "bash", SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


@functools.cache
def shown(*words):
    return subprocess.run([*words, "--help"], capture_output=True, text=True, check=True).stdout


def commands():
    return re.findall(r"^  clusterctl ([a-z]+)(?: ([a-z]+))?", shown("clusterctl"), re.MULTILINE)


def options(text):
    """From the help's lines of options, in another way than the script does it."""
    found = set()
    for line in text.splitlines():
        start = re.split(r"\s{2,}", line.strip())[0]
        if line.startswith("  ") and start.startswith("-"):
            found |= set(re.findall(r"--[a-z-]+", start))
        elif re.match(r"\s+--", line):
            found |= set(re.findall(r"--[a-z-]+", start))
    return found


def nouns():
    """Every noun of clusterctl is offered, and every verb of each"""
    assert len(commands()) > 15
    assert offered("clusterctl", "") == {noun for noun, _ in commands()}
    assert offered("clusterctl", "-o", "json", "clu") == {"cluster"}
    for noun in {noun for noun, verb in commands() if verb}:
        assert offered("clusterctl", "-c", "x", noun, "") == {verb for other, verb in commands() if other == noun}


def command_options():
    """Every option of every command is offered"""
    general = options(shown("clusterctl"))
    assert {"--config", "--output", "--help", "--version"} <= general, general
    assert offered("clusterctl", "--") == general
    for noun, verb in commands():
        words = [noun, verb] if verb else [noun]
        assert offered("clusterctl", *words, "--") == general | options(shown("clusterctl", *words)), words


def values():
    """Values of options are offered where there are few"""
    assert offered("clusterctl", "-o", "") == {"table", "json"}


def daemons():
    """Every option of the daemon and the agent is offered"""
    for program in ["cluster-routerd", "cluster-agent"]:
        wanted = options(shown(program))
        assert {"--config", "--version"} <= wanted, wanted
        assert offered(program, "--") == wanted, (program, wanted)


tap.finish(tap.run([nouns, command_options, values, daemons]))
