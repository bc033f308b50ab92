/* SPDX-License-Identifier: Apache-2.0 */
#include "dense.h"
#include "tflm_build/model.h"

int main(void) {
  static TFLM_ALIGNED uint8_t arena[DENSE_ARENA_SIZE];
  tflm_session session;
  if (tflm_open(&session, &dense_model, arena, sizeof arena, TFLM_CHECK_DATA) != TFLM_OK) return 1;
  for (unsigned i = 0; i < DENSE_INPUT_0_LENGTH; ++i) ((int8_t *)tflm_input(&session, 0))[i] = 0;
  if (tflm_invoke(&session) != TFLM_OK) return 2;
  return tflm_close(&session) != TFLM_OK;
}
