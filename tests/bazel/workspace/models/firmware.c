/* SPDX-License-Identifier: Apache-2.0 */
#include "models/dense.h"
#include "models/sine.h"
#include "tflm_build/model.h"

int main(void) {
  return tflm_check(&dense_model, TFLM_CHECK_DATA) == TFLM_OK && tflm_check(&sine_model, TFLM_CHECK_DATA) == TFLM_OK
             ? 0
             : 1;
}
