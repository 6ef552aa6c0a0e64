#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The units of systemd: systemd itself has nothing to say against them, and finds little that they may do."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.environ["PROJECT_ROOT"]
BUILD = os.environ["PROJECT_BUILD"]
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))

import tap

UNITS = ["cluster-routerd.service", "cluster-agent@.service"]
# 0 is a service that may do nothing, 10 one that may do all; what a network service needs is about 1.
EXPOSURE_MOST = 1.5


def analyze(*arguments):
    if not shutil.which("systemd-analyze"):
        raise tap.Skip("no systemd-analyze")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def unit_text(name):
    with open(os.path.join(BUILD, "conf", "systemd", name), encoding="utf-8") as file:
        return file.read()


def put_units(folder):
    """The units as they are, but for the place of the programs, and a service for the agent to stand beside."""
    for name in UNITS:
        text = re.sub(r"(?<==)/\S*/(cluster-routerd|cluster-agent)(?= )", lambda found: shutil.which(found[1]), unit_text(name))
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    with open(os.path.join(folder, "demo.service"), "w", encoding="utf-8") as file:
        file.write("[Service]\nExecStart=/bin/true\n")


def verify():
    """systemd-analyze verify finds nothing in the units"""
    with tempfile.TemporaryDirectory() as folder:
        put_units(folder)
        for name in ["cluster-routerd.service", "cluster-agent@demo.service"]:
            done = analyze("verify", "--man=no", "--recursive-errors=one", os.path.join(folder, name))
            assert done.returncode == 0 and not done.stderr, done.stderr


def exposure():
    """systemd-analyze security finds the units hardened"""
    for name in UNITS:
        path = os.path.join(BUILD, "conf", "systemd", name)
        done = analyze("security", "--offline=true", f"--threshold={int(EXPOSURE_MOST * 10)}", path)
        assert done.returncode == 0, done.stdout[-300:] + done.stderr


def credentials():
    """Every credential that a unit loads is explained to operators"""
    with open(os.path.join(ROOT, "docs", "install.md"), encoding="utf-8") as file:
        guide = file.read()
    for name in UNITS:
        loaded = re.findall(r"^LoadCredential=([^:\n]+)$", unit_text(name), re.MULTILINE)
        assert loaded, name
        for credential in loaded:
            assert credential in guide, f"{name}: docs/install.md says nothing of {credential}"


tap.finish(tap.run([verify, exposure, credentials]))
