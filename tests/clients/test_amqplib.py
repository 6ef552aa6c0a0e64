#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Node's amqplib, fetched by npm into a temporary folder; skipped where npm is absent or cannot fetch it."""

import os
import shutil
import subprocess
import sys
import tempfile

import tap
from rig import Broker, Router
from test_plain import CONFIGURATION

AMQPLIB = "amqplib@0.10.4"
INSTALL_DEADLINE_S = 30


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def install(folder):
    try:
        done = subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts",
                               AMQPLIB], capture_output=True, text=True, check=False, timeout=INSTALL_DEADLINE_S)
    except subprocess.TimeoutExpired:
        skip(f"npm does not fetch {AMQPLIB} within {INSTALL_DEADLINE_S} s")
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        skip(f"npm cannot fetch {AMQPLIB}")


def main():
    url, ctl = tap.need("AMQP_URL", "RABBITMQCTL")
    if not shutil.which("npm") or not shutil.which("node"):
        skip("npm and node are not installed")
    with tempfile.TemporaryDirectory() as folder:
        install(folder)
        broker = Broker(url, ctl)
        broker.add_vhosts("n-api", "n-west")
        urls = {"api": broker.url("n-api"), "west": broker.url("n-west")}
        router = Router(CONFIGURATION.format(**urls)).start()
        promises = os.path.join(os.path.dirname(os.path.abspath(__file__)), "amqplib.js")
        status = subprocess.run(["node", promises, folder, urls["api"], urls["west"]], check=False).returncode
        if status:
            print(router.tail(), file=sys.stderr)
        router.stop()
    sys.exit(status)


if __name__ == "__main__":
    main()
