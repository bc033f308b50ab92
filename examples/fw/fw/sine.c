/* SPDX-License-Identifier: Apache-2.0 */
#include "fw/sine.h"

#include "fw/model.h"

static TFLM_ALIGNED uint8_t arena[MODEL_ARENA_SIZE];
static tflm_session session;

/* A new model of another shape stops the build here. */
_Static_assert(MODEL_INPUT_0_LENGTH == 1 && MODEL_OUTPUT_0_LENGTH == 1, "an angle in, its sine out");

tflm_status sine_start(void) { return tflm_open(&session, &model_model, arena, sizeof arena, TFLM_CHECK_DATA); }

tflm_status sine_predict(float angle, float *sine) {
  const int8_t input = model_quantize_input_0(angle);
  int8_t output = 0;
  tflm_status status = tflm_set_input(&session, 0, &input, sizeof input);
  if (status == TFLM_OK) status = tflm_invoke(&session);
  if (status == TFLM_OK) status = tflm_get_output(&session, 0, &output, sizeof output);
  if (status == TFLM_OK) *sine = model_dequantize_output_0(output);
  return status;
}

tflm_status sine_stop(void) { return tflm_close(&session); }
