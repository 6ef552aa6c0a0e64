#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The dashboard in Chromium: what it shows is what the API says, and it works without a mouse and on a phone.

One router and one browser for all cases, in this order. Messages of one cluster are delivered, of another one
parked, and some are dead; then nothing moves, so that page and API can be compared number by number.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import pika

import browser
from server import die_with_parent, free_port

DEADLINE_S = 20
SENT = {"east": 30, "west": 12, "nowhere": 3}
CONFIGURATION = """\
[DEFAULT]
state_dir = {folder}/state
[broker]
url = {url}
[http]
listen = 127.0.0.1:{port}
[east]
cluster_member_ips = 10.0.0.11,10.0.0.12
amqp_url = {url}
[west]
cluster_member_ips = 10.0.1.11
state = drain
[route:dashboard]
queue = dashboard
cluster_from = header:cluster
destination = queue:{{queue}}.{{cluster}}
"""


class Router:
    def __init__(self, folder):
        self.port = free_port()
        self.conf = os.path.join(folder, "router.conf")
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(folder=folder, port=self.port, url=os.environ["AMQP_URL"]))
        self.process = subprocess.Popen(["cluster-routerd", "-c", self.conf], stdin=subprocess.DEVNULL,
                                        preexec_fn=die_with_parent(signal.SIGTERM))

    def get(self, path):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return json.load(answer)
        except (urllib.error.URLError, OSError):
            return None

    def route(self):
        return self.get("/api/v1/stats")["routes"][0]


def wait_for(what, is_true):
    end = time.monotonic() + DEADLINE_S
    while not is_true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {DEADLINE_S} s for {what}")
        time.sleep(0.05)


def equal(found, expected, what):
    assert found == expected, f"{what}: the page shows {found!r}, expected {expected!r}"


def send_messages():
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
    channel = connection.channel()
    for cluster, messages in SENT.items():
        for _ in range(messages):
            channel.basic_publish("", "dashboard", b"{}", pika.BasicProperties(headers={"cluster": cluster}))
    connection.close()


class Page:
    def __init__(self, driver, router):
        self.driver, self.router = driver, router

    def script(self, text, *arguments):
        return self.driver.execute_script("return " + text, *arguments)

    def text(self, selector):
        return self.script("document.querySelector(arguments[0]).textContent.trim()", selector)

    def rows(self, table):
        """The first text of each cell: notes below it are left out."""
        return self.script("[...document.querySelectorAll(arguments[0] + ' tbody tr')].map(row =>"
                           " [...row.cells].map(cell => cell.firstChild.textContent))", "#" + table)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.driver.execute_cdp_cmd("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": key,
                                                                   "text": key if len(key) == 1 else ""})

    def wait_for(self, what, text, *arguments):
        wait_for(what, lambda: self.script(text, *arguments))


def number(text):
    return int(text.replace(",", ""))


# --- the cases ---

def totals_equal_the_api(page):
    route = page.router.route()
    equal(route["in"], sum(SENT.values()), "in, by the API")
    page.wait_for("all messages on the page",
                  "document.querySelector('#tile-in-note').textContent.startsWith(arguments[0])", str(route["in"]))
    for tile, expected in (("delivered-note", route["delivered"]), ("in_flight", route["in_flight"]),
                           ("parked", route["parked_in_queue"]), ("dead", route["dead"])):
        equal(number(page.text(f"#tile-{tile}").split()[0]), expected, tile)
    equal((route["delivered"], route["parked_in_queue"], route["dead"]), tuple(SENT.values()), "outcomes, by the API")


def routes_equal_the_api(page):
    route = page.router.route()
    (name, state, came, _rate, delivered, flying, parked, dead, *_), = page.rows("routes")
    equal((name, state), (route["route"], route["state"]), "route")
    equal([number(text) for text in (came, delivered, flying, parked, dead)],
          [route[key] for key in ("in", "delivered", "in_flight", "parked_in_queue", "dead")], "numbers of the route")


def clusters_and_hosts_equal_the_api(page):
    shown = page.script("""[...document.querySelectorAll('.cluster')].map(card => ({
        cluster: card.querySelector('h3').textContent, state: card.querySelector('.pill').textContent,
        numbers: [...card.querySelectorAll('dd')].slice(1).map(dd => dd.textContent),
        reason: card.querySelector('.reason').textContent,
        hosts: [...card.querySelectorAll('.hosts li')].map(li =>
            [li.children[0].textContent, li.children[1].textContent]) }))""")
    clusters = page.router.get("/api/v1/clusters")["clusters"]
    stats = {row["cluster"]: row for row in page.router.route()["clusters"]}
    equal([one["cluster"] for one in shown if one["cluster"] != "no cluster"],
          [one["cluster"] for one in clusters], "clusters")
    for one, cluster in zip(shown, clusters):
        equal(one["state"], cluster["state"], "state of " + cluster["cluster"])
        equal([number(text) for text in one["numbers"]],
              [stats[cluster["cluster"]][key] for key in ("delivered", "parked_in_queue")], cluster["cluster"])
        equal("own broker connected" in one["reason"], cluster["broker_state"] == "connected", "broker")
        equal([host for host, _ in one["hosts"]], [host["host"] for host in cluster["hosts"]], "hosts")
        equal([word == "usable" for _, word in one["hosts"]], [host["usable"] for host in cluster["hosts"]], "hosts")


def parked_and_reasons_equal_the_api(page):
    route = page.router.route()
    (_, cluster, _, waiting, put_in, _), = page.rows("parked")
    equal((cluster, number(waiting), number(put_in)), ("west", SENT["west"], SENT["west"]), "parked")
    equal({code: number(messages) for code, _, messages in page.rows("reasons")},
          {code: messages for code, messages in route["reasons"].items() if messages}, "reasons")


def history_and_changes_are_shown(page):
    page.wait_for("charts", "[...document.querySelectorAll('.plot')].every(plot => plot.querySelector('canvas'))")
    page.wait_for("a legend", "document.querySelector('#chart-parked .legend').textContent === 'west12'")
    equal(page.text("#changes li b"), "router", "first change")
    os.kill(page.router.process.pid, signal.SIGHUP)
    page.wait_for("the reload", "document.querySelector('#changes').textContent.includes('reloaded')")
    equal(page.script("document.querySelectorAll('#changes li').length"),
          len(page.router.get("/api/v1/history")["changes"]), "changes")


def an_hour_can_be_chosen(page):
    labels = "[...document.querySelectorAll('#chart-rate .dygraph-axis-label-x')].map(label => label.textContent)"
    before = page.script(labels)
    page.script("document.querySelector('#span input[value=\"1\"]').click()")
    page.wait_for("other times at the axis", f"JSON.stringify({labels}) !== arguments[0]",
                  json.dumps(before, separators=(",", ":")))
    assert all(":" in label for label in page.script(labels)), page.script(labels)
    page.script("document.querySelector('#span input[value=\"0\"]').click()")


def keyboard_is_enough(page):
    page.script("document.activeElement.blur()")
    page.press("p")
    equal(page.text("#pause"), "Resume", "button")
    page.wait_for("paused", "document.querySelector('#freshness').textContent.startsWith('paused')")
    page.press("p")
    equal(page.text("#pause"), "Pause", "button")
    page.script("document.querySelector('#chart-rate .plot').focus()")
    page.press("ArrowLeft")
    page.wait_for("the pointed moment",
                  "/\\d\\d:\\d\\d:\\d\\d/.test(document.querySelector('#chart-rate .when').textContent)")
    nameless = page.script("""[...document.querySelectorAll('button, a, input, [tabindex="0"]')].filter(node =>
        node.offsetParent && !(node.textContent.trim() || node.ariaLabel ||
        node.getAttribute('aria-labelledby') || node.labels?.length))
        .map(node => node.outerHTML)""")
    equal(nameless, [], "elements without a name")


def fits_a_phone(page):
    for width in (320, 390, 768, 1360):
        browser.set_screen(page.driver, width, 800)
        page.wait_for(f"a page no wider than {width}", "document.documentElement.scrollWidth <= arguments[0]", width)


def asks_nobody_else_and_breaks_no_rule(page):
    origin = f"http://127.0.0.1:{page.router.port}/"
    asked = page.script("performance.getEntriesByType('resource').map(entry => entry.name)")
    equal([name for name in asked if not name.startswith(origin)], [], "requests elsewhere")
    equal([entry["message"] for entry in page.driver.get_log("browser")], [], "complaints of the browser")


def lost_router_is_told(page):
    page.router.process.kill()
    page.router.process.wait()
    page.wait_for("the alert",
                  "document.querySelector('#alerts').textContent.includes('router not reachable, last data')")
    equal(page.text("#state"), "not reachable", "state")
    equal(len(page.rows("routes")), 1, "routes still shown")


CASES = [totals_equal_the_api, routes_equal_the_api, clusters_and_hosts_equal_the_api, parked_and_reasons_equal_the_api,
         history_and_changes_are_shown, an_hour_can_be_chosen, keyboard_is_enough, fits_a_phone,
         asks_nobody_else_and_breaks_no_rule, lost_router_is_told]


def run_cases(page):
    good = True
    for index, case in enumerate(CASES, 1):
        try:
            case(page)
            print(f"ok {index} - {case.__name__}", flush=True)
        except Exception:  # the next case may still tell something
            good = False
            print("".join("# " + line + "\n" for line in traceback.format_exc().splitlines()), end="")
            print(f"not ok {index} - {case.__name__}", flush=True)
    return good


def main():
    if "AMQP_URL" not in os.environ:
        print("1..0 # SKIP AMQP_URL is not set: run this test by scripts/test --live")
        return 0
    print(f"1..{len(CASES)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="cluster-router-browser-", ignore_cleanup_errors=True) as folder:
        router = Router(folder)
        driver = None
        try:
            wait_for("the router", lambda: router.get("/readyz") is not None)
            driver = browser.start(os.path.join(folder, "profile"))
            driver.get(f"http://127.0.0.1:{router.port}/")
            send_messages()
            wait_for("outcomes", lambda: (router.route()["in"], router.route()["in_flight"]) == (sum(SENT.values()), 0))
            return 0 if run_cases(Page(driver, router)) else 1
        finally:
            if driver:
                driver.quit()
            router.process.kill()
            router.process.wait()


if __name__ == "__main__":
    sys.exit(main())
