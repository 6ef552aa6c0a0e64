#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Takes pictures of the dashboard while the demo runs; behind scripts/screenshot.

Runs under servers.py, like demo.py. A cluster loses its hosts meanwhile and gets them back, so that the
picture shows what the page is for.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time

import browser
import demo

RATE = 250


def start_agents(site, cluster, hosts):
    for host in hosts:
        conf = os.path.join(site.folder, f"agent-{host}.conf")
        site.start(f"cluster-agent {host}", ["cluster-agent", "-c", conf, "--", *worker(cluster)])


def stop_agents(site, hosts):
    for host in hosts:
        process = site.programs.pop(f"cluster-agent {host}")
        process.terminate()
        process.wait()


def worker(cluster):
    return [sys.executable, demo.__file__, "--worker", cluster]


def play(site, seconds):
    """West goes down for a while; near the end a host of east stays away."""
    west, east = demo.CLUSTERS["west"], demo.CLUSTERS["east"]
    time.sleep(seconds * 0.35)
    stop_agents(site, west)
    time.sleep(seconds * 0.15)
    start_agents(site, "west", west)
    time.sleep(seconds * 0.15)
    site.programs["cluster-routerd"].send_signal(signal.SIGHUP)
    time.sleep(seconds * 0.2)
    stop_agents(site, east[:1])
    time.sleep(seconds * 0.15)
    site.check_running()


def take(driver, path, width, height, scheme, whole):
    browser.set_screen(driver, width, height, scheme)
    time.sleep(3)  # the page draws itself anew
    if whole:
        height = driver.execute_script("return document.documentElement.scrollHeight")
        browser.set_screen(driver, width, height, scheme)
        time.sleep(3)
    driver.save_screenshot(path)


def shoot(site, arguments):
    with tempfile.TemporaryDirectory(prefix="cluster-router-chromium-") as profile:
        driver = browser.start(profile)
        try:
            driver.get(f"http://127.0.0.1:{site.http_port}/")
            if arguments.all:
                for width in (1360, 390):
                    for scheme in ("light", "dark"):
                        take(driver, f"{arguments.path}-{width}-{scheme}.png", width, 900, scheme, True)
            else:
                take(driver, arguments.path, 1360, 1290, "light", False)
            for entry in driver.get_log("browser"):
                print(f"screenshot: the browser says: {entry['message']}", file=sys.stderr)
        finally:
            driver.quit()


def main():
    parser = argparse.ArgumentParser(prog="screenshot.py", description=__doc__.split("\n")[0])
    parser.add_argument("path", help="the picture; with --all the beginning of the names of four")
    parser.add_argument("--all", action="store_true", help="whole pages: desk and phone, light and dark")
    parser.add_argument("--seconds", type=int, default=280, help="how long the demo runs before")
    arguments = parser.parse_args()
    site = demo.Site()
    stop = threading.Event()
    try:
        site.start_all(worker)
        threading.Thread(target=demo.producer, args=(RATE, stop), daemon=True).start()
        play(site, arguments.seconds)
        shoot(site, arguments)
        return 0
    finally:
        stop.set()
        site.stop()


if __name__ == "__main__":
    sys.exit(main())
