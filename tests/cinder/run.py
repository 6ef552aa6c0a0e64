#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A whole OpenStack Cinder, unmodified, in two clusters behind the router; started by scripts/test --cinder.

First quietly, with exact books; then with the router killed with -9 twice while volumes of both clusters live their
lives. The last line is the verdict; exit status 0 only if nothing was wrong and nothing is stuck.
"""

import concurrent.futures
import os
import shutil
import sys
import tempfile
import time
import traceback

from stack import BACKEND, HOSTS, Stack, make_users, router_text
from volumes import CALLS, REQUESTS, Cinder, Wrong, live

from rig import Broker, Router, wait_until

QUIET_LIVES = 2  # of each cluster
LIVES, AT_ONCE = 24, 4  # of both together
START_DEADLINE_S = 300
ROUTER_AWAY_S = 2


def need(condition, what):
    if not condition:
        raise Wrong(what)


class Run:
    def __init__(self, folder):
        self.brokers = (Broker(os.environ["AMQP_URL"], os.environ["RABBITMQCTL"]),
                        Broker(os.environ["AMQP_URL_2"], os.environ["RABBITMQCTL_2"]))
        database = os.environ["MYSQL_URL"].replace("mysql:", "mysql+pymysql:", 1)
        self.stack = Stack(folder, *self.brokers, database)
        self.cinder = Cinder(self.stack.port)
        self.router = Router(router_text(*self.brokers))

    def start(self):
        make_users(self.brokers[0], "/", "east")
        make_users(self.brokers[1], "west")
        self.stack.make_database()
        self.router.start()
        self.stack.start()
        wanted = {("cinder-scheduler", host) for host in HOSTS.values()}
        wanted |= {("cinder-volume", f"{host}@{BACKEND}") for host in HOSTS.values()}
        wait_until(f"services are up: {sorted(wanted)}", lambda: self.stack.check() or wanted <= self.cinder.services(),
                   START_DEADLINE_S)

    def settled(self):
        """The route's counts once nothing is in flight or parked."""
        def counts():
            route = self.router.route("cinder")
            return route if route["in_flight"] == 0 and route["parked_now"] == 0 else None
        return wait_until("nothing is in flight or parked", counts, 60)

    def check_books(self):
        """What came in has gone out, and nothing is dead, expired or without its caller."""
        route = self.settled()
        outcomes = {name: route[name] for name in ("dead", "expired", "failed")}
        outcomes["reply_orphan"] = route["reasons"]["reply_orphan"]
        need(not any(outcomes.values()), f"outcomes that should not be: {outcomes}")
        need(route["in"] == route["delivered"], f"{route['in']} came in, {route['delivered']} were delivered")
        return route

    def depths(self):
        """{queue: messages} of all queues that are not empty."""
        found = {}
        for broker, vhost in ((self.brokers[0], "/"), (self.brokers[0], "east"), (self.brokers[1], "west")):
            for line in broker.run("list_queues", "-p", vhost, "name", "messages").splitlines():
                name, messages = line.split("\t")
                if messages not in ("0", "messages"):
                    found[f"{vhost} {name}"] = int(messages)
        return found

    def check_queues(self):
        wait_until("all queues are empty", lambda: not self.depths(), 30)

    def quiet(self):
        """Volumes of both clusters live their lives; every request is counted where it belongs."""
        before = self.settled()
        need(all(name.startswith(HOSTS["east"]) for name in self.cinder.pools()), "pools of another cluster")
        for cluster in HOSTS:
            for _ in range(QUIET_LIVES):
                live(self.cinder, cluster)
        route = self.check_books()
        requests = QUIET_LIVES * REQUESTS * len(HOSTS) + 1
        need(route["in"] - before["in"] == requests, f"{route['in'] - before['in']} requests instead of {requests}")
        for row in route["clusters"]:
            wanted = QUIET_LIVES * REQUESTS + (row["cluster"] == "east")
            need(row["delivered"] == wanted, f"{row['cluster']}: {row['delivered']} delivered instead of {wanted}")
        calls = QUIET_LIVES * CALLS * len(HOSTS) + 1
        need(route["reasons"]["reply"] == calls, f"{route['reasons']['reply']} replies to {calls} calls")
        self.check_queues()
        complaints = self.stack.complaints()
        need(not complaints, "services complain:\n" + "\n".join(complaints))
        print(f"cinder: quiet: {2 * QUIET_LIVES} lives, {requests} requests, {calls} of them calls; "
              "all queues are empty, no service complains", flush=True)

    def life(self, cluster):
        """How long it took, in seconds."""
        begin = time.monotonic()
        live(self.cinder, cluster)
        return time.monotonic() - begin

    def killed(self):
        """The same with the router killed with -9 twice in mid-run."""
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            lives = [pool.submit(self.life, cluster) for _ in range(LIVES // 2) for cluster in HOSTS]
            for part in (1, 2):
                wait_until("lives", lambda: sum(life.done() for life in lives) >= part * LIVES // 3, 600)
                self.router.kill()
                time.sleep(ROUTER_AWAY_S)
                self.router.start()
            failed = [str(life.exception()) for life in lives if life.exception()]
        need(not failed, f"{len(failed)} of {LIVES} lives went wrong:\n" + "\n".join(failed))
        self.check_books()
        self.check_queues()
        complaints = self.stack.complaints()
        print(f"cinder: router killed twice: {LIVES} lives in {time.monotonic() - begin:.0f} s, the longest in "
              f"{max(life.result() for life in lives):.0f} s; all queues are empty; services logged {len(complaints)} errors",
              flush=True)
        for complaint in complaints:
            print(f"cinder:   {complaint[:300]}")

    def stop(self):
        self.stack.stop()
        self.router.stop()


def main():
    folder = tempfile.mkdtemp(prefix="cluster-router-cinder-")
    run = None
    try:
        run = Run(folder)
        run.start()
        run.quiet()
        run.killed()
        run.stop()
    except (Wrong, AssertionError, OSError) as error:
        traceback.print_exc()
        if run:
            print(run.router.tail(), file=sys.stderr)
            print("\n".join(run.stack.complaints()), file=sys.stderr)
        print(f"cinder: WRONG: {error} (logs are kept in {folder})")
        return 1
    shutil.rmtree(folder)
    print("cinder: everything is right: both clusters did all that was asked, nothing is stuck")
    return 0


if __name__ == "__main__":
    sys.exit(main())
