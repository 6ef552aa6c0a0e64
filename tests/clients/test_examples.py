#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The ready configurations under conf/examples: the router takes them, and real messages go where they should."""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

import tap

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
EXAMPLES = os.path.join(ROOT, "conf", "examples")
# Captured requests of an API, by the beginning of their file name: where Cinder's example sends them.
CINDER = {"01": "east", "02": "west", "04": "east", "06": "east", "07": "east", "08": "west", "09": "west",
          "10": "east", "12": "east", "14": "east", "15": "east", "17": "east", "19": "east", "21": "west",
          "22": "east", "30": "east"}


def example(name):
    return os.path.join(EXAMPLES, name, "cluster-router.conf")


def private_copy(path, folder):
    """Programs refuse a file with a password in it that everyone may read, as that of a clone is."""
    return shutil.copyfile(path, os.path.join(folder, "router.conf"))


def explain(configuration, message):
    """What clusterctl says of that file, from the configuration alone."""
    done = subprocess.run(["clusterctl", "-c", configuration, "-o", "json", "explain", message],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def check():
    """cluster-routerd --check accepts every example without a complaint"""
    paths = glob.glob(os.path.join(EXAMPLES, "*", "cluster-router*.conf"))
    assert len(paths) >= 2, paths
    for path in paths:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(["cluster-routerd", "-c", private_copy(path, folder), "--check"],
                                  capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr


def cinder():
    """Cinder's example sends every captured request of an API to the right cluster, as it came"""
    with tempfile.TemporaryDirectory() as folder:
        explain_captures(private_copy(example("cinder"), folder))


def explain_captures(configuration):
    seen = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "tests", "data", "[0-9]*.json"))):
        with open(path, encoding="utf-8") as file:
            message = json.load(file)
        if message.get("publisher") != "cinder-api":
            continue
        wanted = CINDER[os.path.basename(path)[:2]]
        told = explain(configuration, path)
        assert told["decision"] == "deliver" and told["cluster"] == wanted, (path, told["cluster"], told["decision"])
        assert (told["exchange"], told["key"]) == (message["exchange"], message["routing_key"]), path
        seen += 1
    assert seen == len(CINDER), seen


def celery():
    """Celery's example sends a task to the queue of the cluster in its header"""
    message = {"exchange": "", "routing_key": "celery", "body": "[[1, 2], {}, {}]",
               "properties": {"content_type": "application/json", "correlation_id": "1", "reply_to": "results",
                              "headers": {"lang": "py", "task": "app.add", "id": "1", "cluster": "west"}}}
    with tempfile.TemporaryDirectory() as folder:
        # Without redis, which is not there: every host counts as alive.
        with open(example("celery"), encoding="utf-8") as file:
            text = file.read().replace("[redis]\nurl = redis://redis.example.org:6379/0\n", "")
        configuration, path = os.path.join(folder, "router.conf"), os.path.join(folder, "task.json")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(text)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(message, file)
        told = explain(configuration, path)
    assert told["decision"] == "deliver" and told["key"] == "celery.west", told


def main():
    os.umask(0o077)
    sys.exit(1 if tap.run([check, cinder, celery]) else 0)


if __name__ == "__main__":
    main()
