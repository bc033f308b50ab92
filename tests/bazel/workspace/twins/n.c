/* SPDX-License-Identifier: Apache-2.0 */
#include "tflm_build/model.h"
#include "twins/n/model.h"

int check_n(void);
int check_n(void) { return tflm_check(&model_model, TFLM_CHECK_DATA); }
