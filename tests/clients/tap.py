# SPDX-License-Identifier: MIT
"""Runs promises one after the other and says TAP, so that every one of them is counted by itself.

A promise is a function whose first line of documentation says what is promised.
"""

import os
import sys
import threading
import traceback


class Skip(Exception):
    """What a promise needs is not here; the text says what."""


def run(promises, *arguments):
    """Calls each promise with these arguments; exits with 1 if one was broken."""
    broken = 0
    for number, promise in enumerate(promises, 1):
        name = promise.__doc__.strip().splitlines()[0].rstrip(".").replace("#", "")
        try:
            promise(*arguments)
            print(f"ok {number} - {name}", flush=True)
        except Skip as skip:
            print(f"ok {number} - {name} # SKIP {skip}", flush=True)
        except Exception:
            broken += 1
            traceback.print_exc()
            print(f"not ok {number} - {name}", flush=True)
    print(f"1..{len(promises)}", flush=True)
    return broken


def need(*names):
    """The values of these environment variables; without them the whole program is skipped."""
    if not all(name in os.environ for name in names):
        print(f"1..0 # SKIP run under tests/support/servers.py: no {' or no '.join(names)}")
        sys.exit(0)
    return [os.environ[name] for name in names]


def finish(broken):
    """Ends the program at once: threads of a client library that hang must not hold up the tests."""
    sys.stdout.flush()
    sys.stderr.flush()
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            print(f"# left behind: {thread.name}", file=sys.stderr, flush=True)
    os._exit(1 if broken else 0)
