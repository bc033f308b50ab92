/* SPDX-License-Identifier: Apache-2.0 */
#include "tflm_build/model.h"
#include "twins/model.h"

int check_n(void);

int main(void) { return tflm_check(&third_model, TFLM_CHECK_DATA) + check_n(); }
