/* SPDX-License-Identifier: Apache-2.0 */
/** Golden vectors: inputs with the outputs that a model has to give; tflm-build writes them as `<name>_golden`. */
#ifndef TFLM_BUILD_GOLDEN_H_
#define TFLM_BUILD_GOLDEN_H_

#include "tflm_build/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/** `count` vectors; each pointer is to `count * bytes` bytes of one tensor, vector after vector. */
typedef struct tflm_golden {
  /** the model that the vectors are for */
  const tflm_model *model;
  /** number of vectors */
  size_t count;
  /** one pointer per input of the model */
  const void *const *inputs;
  /** one per output: what the model answered when it was built */
  const void *const *outputs;
  /** one per output: largest allowed difference from that; not 0 for float32 alone, which compilers may round elsewhere
   */
  const double *tolerance;
  /** who gave these answers: TensorFlow Lite for Microcontrollers, or, without it, the references of the layers */
  const char *answered_by;
} tflm_golden;

#ifdef __cplusplus
}
#endif

#endif /* TFLM_BUILD_GOLDEN_H_ */
