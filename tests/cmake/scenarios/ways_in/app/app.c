/* SPDX-License-Identifier: Apache-2.0 */
/* Check four models in one program, then run two of them at once. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "absolute.h"
#include "beside.h"
#include "generated.h"
#include "relative.h"
#include "tflm_build/model.h"

static int check(const tflm_model *model, size_t alignment) {
  const tflm_status status = tflm_check(model, TFLM_CHECK_DATA);
  printf("%s: %zu bytes: %s\n", model->name, model->data_size, tflm_status_text(status));
  return status == TFLM_OK && (uintptr_t)model->data % alignment == 0;
}

int main(void) {
  static TFLM_ALIGNED uint8_t arenas[2][(RELATIVE_ARENA_SIZE + 15) / 16 * 16];
  if (!check(&relative_model, 16) || !check(&absolute_model, 16)) return 1;
  if (!check(&generated_model, 64) || !check(&beside_model, 16)) return 2;
  tflm_session one, other;
  if (tflm_open(&one, &relative_model, arenas[0], sizeof arenas[0], TFLM_CHECK_DATA) != TFLM_OK) return 3;
  if (tflm_open(&other, &beside_model, arenas[1], sizeof arenas[1], TFLM_CHECK_DATA) != TFLM_OK) return 4;
  memset(tflm_input(&one, 0), 5, RELATIVE_INPUT_0_BYTES);
  memset(tflm_input(&other, 0), 5, BESIDE_INPUT_0_BYTES);
  if (tflm_invoke(&one) != TFLM_OK || tflm_invoke(&other) != TFLM_OK) return 5;
  if (memcmp(tflm_output(&one, 0), tflm_output(&other, 0), RELATIVE_OUTPUT_0_BYTES) != 0) return 6;
  return tflm_close(&one) != TFLM_OK || tflm_close(&other) != TFLM_OK;
}
