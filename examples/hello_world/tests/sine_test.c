/* SPDX-License-Identifier: Apache-2.0 */
/* Unit test of sine.c on the developer's machine: the same code and the same model as on the device. */
#include "sine.h"

#include <math.h>
#include <stdio.h>

static int failures = 0;

static void expect(int condition, const char *what) {
  if (!condition) {
    printf("failed: %s\n", what);
    ++failures;
  }
}

/* What calibration to 8 bits and 321 parameters leave: the network alone is within 0.06 of the sine. */
static const float allowed_error = 0.1f;

static void test_clamping(void) {
  expect(sine_clamped_angle(-1.0f) == 0.0f, "a negative angle is 0");
  expect(sine_clamped_angle(NAN) == 0.0f, "NaN is 0");
  expect(sine_clamped_angle(1.5f) == 1.5f, "an angle in range stays as it is");
  expect(sine_clamped_angle(SINE_LARGEST_ANGLE) == SINE_LARGEST_ANGLE, "2 pi stays as it is");
  expect(sine_clamped_angle(100.0f) == SINE_LARGEST_ANGLE, "a larger angle is 2 pi");
}

static void test_predictions(tflm_session *session) {
  for (int step = 0; step <= 64; ++step) {
    const float angle = (float)step * SINE_LARGEST_ANGLE / 64.0f;
    float sine = 2.0f;
    expect(sine_predict(session, angle, &sine) == TFLM_OK, "a prediction works");
    expect(fabsf(sine - sinf(angle)) < allowed_error, "a prediction is near the true sine");
  }
}

static void test_scaling(tflm_session *session) {
  float beyond = 2.0f;
  float at_end = 3.0f;
  expect(sine_predict(session, 1000.0f, &beyond) == TFLM_OK, "an angle far out works");
  expect(sine_predict(session, SINE_LARGEST_ANGLE, &at_end) == TFLM_OK, "the largest angle works");
  expect(beyond == at_end, "an angle far out is taken as the largest one");
}

int main(void) {
  static TFLM_ALIGNED uint8_t arena[HELLO_WORLD_ARENA_SIZE];
  tflm_session session;
  test_clamping();
  expect(sine_start(&session, arena, sizeof arena) == TFLM_OK, "the model starts");
  if (failures == 0) {
    test_predictions(&session);
    test_scaling(&session);
  }
  expect(tflm_close(&session) == TFLM_OK, "the session closes");

  float sine = 0.0f;
  expect(sine_predict(&session, 1.0f, &sine) == TFLM_NOT_OPEN, "a closed session predicts nothing");
  printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
