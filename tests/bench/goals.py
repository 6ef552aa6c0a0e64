# SPDX-License-Identifier: MIT
"""The figures that the router promises, and whether this run met them."""

import collections

import moving

Goal = collections.namedtuple("Goal", "what figure limit met")

# Load, figure, contender, limit, whether the ratio router / contender must be at least or at most that.
MOVE_GOALS = [
    ("512 B, classic", "rate", "bare mover", 0.97, "least"),
    ("8 kB oslo, classic", "rate", "bare mover", 0.97, "least"),
    ("512 B, quorum", "rate", "bare mover", 0.97, "least"),
    ("8 kB oslo, quorum", "rate", "bare mover", 0.97, "least"),
    ("512 B, classic", "rate", "Shovel", 1.3, "least"),
    ("512 B, classic", "rate", "amqplib", 1.9, "least"),
    ("512 B, classic", "rate", "pika", 1.8, "least"),
    ("512 B, classic", "cpu_us", "bare mover", 1.0, "most"),
    ("8 kB oslo, classic", "cpu_us", "bare mover", 1.4, "most"),
]
FIGURES = {"rate": "messages/s", "cpu_us": "CPU per message"}


class Goals:
    """Those that a run has measured."""

    def __init__(self):
        self.goals = []

    def at_least(self, what, figure, limit):
        self.goals.append(Goal(f"{what} >= {limit}", figure, limit, figure >= limit))

    def at_most(self, what, figure, limit):
        self.goals.append(Goal(f"{what} <= {limit}", figure, limit, figure <= limit))

    def judge_move(self, load, results):
        for goal_load, field, other, limit, bound in MOVE_GOALS:
            ratio = moving.median_ratio(results, field, other) if goal_load == load else None
            if ratio is not None:
                judge = self.at_least if bound == "least" else self.at_most
                judge(f"{load}: {FIGURES[field]}, router / {other}", ratio, limit)

    def missed(self):
        return [goal for goal in self.goals if not goal.met]

    def as_list(self):
        return [goal._asdict() for goal in self.goals]

    def print(self):
        """A line for each goal, and last the verdict."""
        for goal in self.goals:
            print(f"{'met   ' if goal.met else 'MISSED'}  {goal.what}: {goal.figure:.3g}")
        missed = self.missed()
        names = "; ".join(f"{goal.what} ({goal.figure:.3g})" for goal in missed)
        print(f"{len(self.goals) - len(missed)} goals met, {len(missed)} missed{': ' + names if missed else ''}")
