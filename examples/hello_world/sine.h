/* SPDX-License-Identifier: Apache-2.0 */
/* A sine from a neural network: what a firmware team would write around its model. */
#ifndef SINE_H_
#define SINE_H_

#include "hello_world.h"
#include "tflm_build/model.h"

/* The largest angle that the model was trained on: 2 pi. */
#define SINE_LARGEST_ANGLE 6.28318531f

/* Start the model in an arena of HELLO_WORLD_ARENA_SIZE bytes. */
tflm_status sine_start(tflm_session *session, void *arena, size_t arena_size);

/* Bring an angle into the range that the model was trained on; what is no number becomes 0. */
float sine_clamped_angle(float angle);

/* Predict the sine of an angle in radians; angles outside of 0 to 2 pi are clamped to it. */
tflm_status sine_predict(tflm_session *session, float angle, float *sine);

#endif /* SINE_H_ */
