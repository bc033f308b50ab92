/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"
#include "dense.h"

int main(void) {
  return ARENA_BYTES != DENSE_ARENA_SIZE || FLASH_BYTES != DENSE_DATA_SIZE || FILE_BYTES != FLASH_BYTES;
}
