# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A stand-in for ESP-IDF's script that prepares a shell.
IDF_PATH="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
export IDF_PATH PATH="$IDF_PATH/tools:$PATH"
