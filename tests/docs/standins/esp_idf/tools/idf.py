#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for ESP-IDF's command, with the options and actions that a page uses. The chip is this machine."""

import argparse
import subprocess

parser = argparse.ArgumentParser()
parser.add_argument("-C", dest="project", default=".")
parser.add_argument("-D", dest="definitions", action="append", default=[])
parser.add_argument("actions", nargs="+")
arguments = parser.parse_args()
build = f"{arguments.project}/build"
definitions = [f"-D{each}" for each in arguments.definitions]
commands = {
    "set-target": [],
    "build": [
        ["cmake", "-S", arguments.project, "-B", build, "-G", "Ninja", *definitions],
        ["cmake", "--build", build],
    ],
    "flash": [],
    "monitor": [[f"{build}/firmware.elf"]],
}
for action in arguments.actions:
    for command in commands.get(action, []):
        subprocess.run(command, check=True)
