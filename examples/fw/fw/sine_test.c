/* SPDX-License-Identifier: Apache-2.0 */
/* Unit test of sine.c on the developer's machine: the same code and the same model as on the device. */
#include "fw/sine.h"

#include <math.h>
#include <stdio.h>

static int failures = 0;

static void expect(int condition, const char *what) {
  if (!condition) {
    printf("failed: %s\n", what);
    ++failures;
  }
}

int main(void) {
  float sine = 0.0f;
  expect(sine_start() == TFLM_OK, "the model starts");
  for (int step = 0; failures == 0 && step <= 64; ++step) {
    const float angle = 6.283185f * (float)step / 64.0f;
    expect(sine_predict(angle, &sine) == TFLM_OK, "a prediction works");
    expect(fabsf(sine - sinf(angle)) < 0.1f, "a prediction is near the true sine");
  }
  expect(sine_stop() == TFLM_OK, "the model stops");
  expect(sine_predict(1.0f, &sine) == TFLM_NOT_OPEN, "a stopped model predicts nothing");
  printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
