/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for the interpreter where none is linked: for firmware that brings its own, and links data and descriptors
 * alone. A program that calls tflm_open() all the same does not link, and the linker's error says what is missing.
 */
#include "tflm_build/model.h"

/* Nobody defines it. */
extern tflm_status tflm_open_needs_a_TFLM__pass_TFLM_SOURCE_DIR_or_TFLM_ROOT_or_TFLM_TARGET(void);

tflm_status tflm_open(tflm_session *session, const tflm_model *model, void *arena, size_t arena_size, unsigned flags) {
  (void)session;
  (void)model;
  (void)arena;
  (void)arena_size;
  (void)flags;
  return tflm_open_needs_a_TFLM__pass_TFLM_SOURCE_DIR_or_TFLM_ROOT_or_TFLM_TARGET();
}
