#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Stand for an emulator: the program is the last argument.
[ "$1" = "-M" ] && [ "$2" = "a board" ] && exec "./$3"
