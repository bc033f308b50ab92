#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Run an image on the board: its path is the last argument. exit() of the image ends the emulator, with the same status.
exec qemu-system-arm -M mps2-an385 -cpu cortex-m3 -nographic -monitor none -serial none \
  -semihosting-config enable=on,target=native -kernel "$@"
