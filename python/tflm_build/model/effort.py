# SPDX-License-Identifier: Apache-2.0
"""Bound how often a model is run by work that is counted and not timed, so that all machines do the same."""

__all__ = ["affordable_runs"]


def affordable_runs(effort: int, macs: int, *, fewest: int, most: int) -> int:
    """Return how often a model may run.

    Args:
        effort: multiply-accumulates that all runs may take together.
        macs: multiply-accumulates of one run.
        fewest: runs of a model of any size, if there is something for so many.
        most: runs that there is something for.
    """
    return min(most, max(fewest, effort // max(1, macs)))
