/* SPDX-License-Identifier: Apache-2.0 */
/* Print x, the model's sine and the true one, over a full turn. */
#include <math.h>
#include <stdio.h>

#include "sine.h"

int main(void) {
  static TFLM_ALIGNED uint8_t arena[HELLO_WORLD_ARENA_SIZE];
  tflm_session session;
  tflm_status status = sine_start(&session, arena, sizeof arena);
  printf("   x     model   sin(x)   error\n");
  for (int step = 0; status == TFLM_OK && step <= 16; ++step) {
    const float x = (float)step * SINE_LARGEST_ANGLE / 16.0f;
    const float truth = sinf(x);
    float prediction = 0.0f;
    status = sine_predict(&session, x, &prediction);
    if (status == TFLM_OK) {
      const float error = prediction - truth;
      printf("%5.3f  %+6.3f  %+6.3f  %+6.3f\n", (double)x, (double)prediction, (double)truth, (double)error);
    }
  }
  if (status != TFLM_OK) {
    fprintf(stderr, "sweep: %s\n", tflm_status_text(status));
    return 1;
  }
  return tflm_close(&session) == TFLM_OK ? 0 : 1;
}
