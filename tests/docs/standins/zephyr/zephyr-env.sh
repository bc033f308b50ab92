# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A stand-in for Zephyr's script that prepares a shell. `west` is a package of its own there.
ZEPHYR_BASE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export ZEPHYR_BASE PATH="$ZEPHYR_BASE/scripts:$PATH"
