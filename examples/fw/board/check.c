/* SPDX-License-Identifier: Apache-2.0 */
/* Check the model of this image as it lies in the chip's memory, and print what it takes. */
#include <stdio.h>
#include <stdlib.h>

#include "fw/model.h"
#include "tflm_build/model.h"

int main(void) {
  const tflm_status status = tflm_check(&model_model, TFLM_CHECK_DATA);
  printf("%s: %u bytes of flash, arena of %u bytes: %s\n", model_model.name, MODEL_DATA_SIZE, MODEL_ARENA_SIZE,
         tflm_status_text(status));
  return status == TFLM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
