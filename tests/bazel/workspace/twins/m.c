/* SPDX-License-Identifier: Apache-2.0 */
#include "tflm_build/model.h"
#include "twins/m/model.h"

int check_m(void);
int check_m(void) { return tflm_check(&model_model, TFLM_CHECK_DATA); }
