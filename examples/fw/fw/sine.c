/* SPDX-License-Identifier: Apache-2.0 */
#include "fw/sine.h"

#include "fw/model.h"

static TFLM_ALIGNED uint8_t arena[MODEL_ARENA_SIZE];
static tflm_session session;

tflm_status sine_start(void) { return tflm_open(&session, &model_model, arena, sizeof arena, TFLM_CHECK_DATA); }

tflm_status sine_predict(float angle, float *sine) {
  int8_t *input = tflm_input(&session, 0);
  if (input == NULL) {
    return TFLM_NOT_OPEN;
  }
  *input = model_quantize_input_0(angle);
  const tflm_status status = tflm_invoke(&session);
  if (status == TFLM_OK) {
    const int8_t *output = tflm_output(&session, 0);
    *sine = model_dequantize_output_0(*output);
  }
  return status;
}

tflm_status sine_stop(void) { return tflm_close(&session); }
