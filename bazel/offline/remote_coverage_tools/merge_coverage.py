#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Merge what GCC's gcov has counted, or reports of several tests, into one report of lines in lcov's format.

Bazel calls it as it calls the tools that it would download: with --coverage_dir after each test, with --reports_file
for --combined_report=lcov. It knows lines alone, neither functions nor branches.
"""

import argparse
import collections
import gzip
import json
import pathlib
import re

Lines = collections.defaultdict[str, collections.Counter[int]]


def read_gcov(folder: pathlib.Path, lines: Lines) -> None:
    """Add what gcov, version 9 or newer, has written for each object file."""
    for path in folder.glob("**/*.gcov.json.gz"):
        for file in json.loads(gzip.decompress(path.read_bytes()))["files"]:
            for line in file["lines"]:
                lines[file["file"]][line["line_number"]] += line["count"]


def read_lcov(path: pathlib.Path, lines: Lines) -> None:
    """Add a report in lcov's format."""
    file = ""
    for line in path.read_text("utf-8").splitlines():
        kind, _, value = line.partition(":")
        if kind == "SF":
            file = value
        elif kind == "DA":
            number, count = value.split(",")[:2]
            lines[file][int(number)] += int(count)


def main() -> None:
    """Read the counts, and write the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--coverage_dir", type=pathlib.Path)
    parser.add_argument("--filter_sources", action="append", default=[])
    parser.add_argument("--output_file", type=pathlib.Path, required=True)
    parser.add_argument("--reports_file", type=pathlib.Path)
    options, _ = parser.parse_known_args()
    lines: Lines = collections.defaultdict(collections.Counter)
    if options.coverage_dir:
        read_gcov(options.coverage_dir, lines)
    if options.reports_file:
        for report in options.reports_file.read_text("utf-8").splitlines():
            read_lcov(pathlib.Path(report), lines)
    text = ""
    for file in sorted(lines):
        if not any(re.fullmatch(pattern, file) for pattern in options.filter_sources):
            counts = "".join(f"DA:{number},{count}\n" for number, count in sorted(lines[file].items()))
            text += f"SF:{file}\n{counts}end_of_record\n"
    options.output_file.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
