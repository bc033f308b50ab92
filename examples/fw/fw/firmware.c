/* SPDX-License-Identifier: Apache-2.0 */
/* Print a quarter of a wave. On a device this would drive a pin. */
#include <stdio.h>

#include "fw/sine.h"

int main(void) {
  tflm_status status = sine_start();
  for (int step = 0; status == TFLM_OK && step <= 8; ++step) {
    const float angle = 1.570796f * (float)step / 8.0f;
    float sine = 0.0f;
    status = sine_predict(angle, &sine);
    if (status == TFLM_OK) {
      printf("sine of %.3f is %.3f\n", (double)angle, (double)sine);
    }
  }
  if (status != TFLM_OK) {
    printf("failed: %s\n", tflm_status_text(status));
    return 1;
  }
  return sine_stop() == TFLM_OK ? 0 : 1;
}
