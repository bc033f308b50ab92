/* SPDX-License-Identifier: Apache-2.0 */
#include "sine.h"

/* A new model of another shape stops the build here. */
_Static_assert(HELLO_WORLD_INPUT_0_LENGTH == 1 && HELLO_WORLD_OUTPUT_0_LENGTH == 1, "an angle in, its sine out");

tflm_status sine_start(tflm_session *session, void *arena, size_t arena_size) {
  return tflm_open(session, &hello_world_model, arena, arena_size, TFLM_CHECK_DATA);
}

float sine_clamped_angle(float angle) {
  if (!(angle > 0.0f)) { /* also true of NaN */
    return 0.0f;
  }
  return angle < SINE_LARGEST_ANGLE ? angle : SINE_LARGEST_ANGLE;
}

tflm_status sine_predict(tflm_session *session, float angle, float *sine) {
  const int8_t input = hello_world_quantize_input_0(sine_clamped_angle(angle));
  int8_t output = 0;
  tflm_status status = tflm_set_input(session, 0, &input, sizeof input);
  if (status == TFLM_OK) status = tflm_invoke(session);
  if (status == TFLM_OK) status = tflm_get_output(session, 0, &output, sizeof output);
  if (status == TFLM_OK) *sine = hello_world_dequantize_output_0(output);
  return status;
}
