/* SPDX-License-Identifier: Apache-2.0 */
#include "sine.h"

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
  int8_t *input = tflm_input(session, 0);
  if (input == NULL) {
    return TFLM_NOT_OPEN;
  }
  *input = hello_world_quantize_input_0(sine_clamped_angle(angle));
  const tflm_status status = tflm_invoke(session);
  if (status == TFLM_OK) {
    const int8_t *output = tflm_output(session, 0);
    *sine = hello_world_dequantize_output_0(*output);
  }
  return status;
}
