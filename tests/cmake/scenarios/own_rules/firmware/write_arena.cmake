# SPDX-License-Identifier: Apache-2.0
file(STRINGS "${ARENA}" bytes)
file(READ "${MANIFEST}" manifest)
string(JSON flash GET "${manifest}" model bytes)
file(SIZE "${TFLITE}" size)
file(WRITE arena.h "#define ARENA_BYTES ${bytes}\n#define FLASH_BYTES ${flash}\n#define FILE_BYTES ${size}\n")
