// SPDX-License-Identifier: Apache-2.0
// Run $name once a second, on zeros, and print how long that takes.
#include <$name.h>
#include <tflm_build/model.h>

alignas(TFLM_ALIGNMENT) static uint8_t arena[${upper}_ARENA_SIZE];
alignas(8) static uint8_t input[${upper}_INPUT_0_BYTES];
alignas(8) static uint8_t output[${upper}_OUTPUT_0_BYTES];
static tflm_session session;

void setup() {
  Serial.begin(115200);
  Serial.println(tflm_status_text(tflm_open(&session, &${symbol}_model, arena, sizeof arena, TFLM_CHECK_DATA)));
}

void loop() {
  const unsigned long start = micros();
  tflm_status status = tflm_set_input(&session, 0, input, sizeof input);
  if (status == TFLM_OK) status = tflm_invoke(&session);
  if (status == TFLM_OK) status = tflm_get_output(&session, 0, output, sizeof output);
  Serial.println(status == TFLM_OK ? micros() - start : 0UL);
  delay(1000);
}
