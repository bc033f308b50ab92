/* SPDX-License-Identifier: Apache-2.0 */
/* A sine from a neural network: what a firmware team would write around its model. */
#ifndef FW_SINE_H_
#define FW_SINE_H_

#include "tflm_build/model.h"

/* Start the model in memory of its own. */
tflm_status sine_start(void);

/* Predict the sine of an angle from 0 to 2 pi. */
tflm_status sine_predict(float angle, float *sine);

/* Stop the model. */
tflm_status sine_stop(void);

#endif /* FW_SINE_H_ */
