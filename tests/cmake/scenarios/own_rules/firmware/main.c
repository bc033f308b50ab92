/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"
#include "dense.h"
#include "tflm_build/model.h"

int main(void) {
  if (dense_model.arena_size != ARENA_BYTES || dense_model.data_size != FLASH_BYTES) return 1;
  return FILE_BYTES != FLASH_BYTES || tflm_check(&dense_model, TFLM_CHECK_DATA) != TFLM_OK;
}
