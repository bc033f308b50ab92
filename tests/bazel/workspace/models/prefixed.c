/* SPDX-License-Identifier: Apache-2.0 */
#include "audio/chosen.h"
#include "models/sine.h"
#include "tflm_build/model.h"

int main(void) { return tflm_check(&chosen_model, 0) == TFLM_OK && tflm_check(&sine_model, 0) == TFLM_OK ? 0 : 1; }
