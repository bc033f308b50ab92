/* SPDX-License-Identifier: Apache-2.0 */
/* Check the models of this image as they lie in the chip's memory, and print what they take and give. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "hello_world.h"
#include "patterns.h"
#include "tflm_build/model.h"

/* What this firmware was written for: a new model of another shape stops the build here. */
_Static_assert(HELLO_WORLD_INPUT_0_LENGTH == 1 && HELLO_WORLD_OUTPUT_0_LENGTH == 1, "an angle in, its sine out");
_Static_assert(PATTERNS_INPUT_0_LENGTH == 12 * 12 && PATTERNS_OUTPUT_0_LENGTH == 3, "an image in, three scores out");

/* Set by the linker script. */
extern const unsigned char flash_start[], flash_end[];

static bool in_flash(const void *start, size_t size) {
  const uintptr_t first = (uintptr_t)start, low = (uintptr_t)flash_start, high = (uintptr_t)flash_end;
  return first >= low && first <= high && size <= high - first;
}

/* Return what is wrong with a model, or NULL. */
static const char *fault_of(const tflm_model *model) {
  if (!in_flash(model, sizeof *model)) return "the descriptor is not in flash";
  if (!in_flash(model->data, model->data_size)) return "the data are not in flash";
  if ((uintptr_t)model->data % TFLM_ALIGNMENT != 0) return "the data are not aligned";
  const tflm_status status = tflm_check(model, TFLM_CHECK_DATA);
  return status == TFLM_OK ? NULL : tflm_status_text(status);
}

static const char *type_name(tflm_type type) {
  switch (type) {
    case TFLM_FLOAT32:
      return "float32";
    case TFLM_INT32:
      return "int32";
    case TFLM_UINT8:
      return "uint8";
    case TFLM_INT64:
      return "int64";
    case TFLM_BOOL:
      return "bool";
    case TFLM_INT16:
      return "int16";
    case TFLM_INT8:
      return "int8";
    default:
      return "unknown";
  }
}

/* newlib-nano's printf() has no %zu, and no %f unless it is linked with -u _printf_float, which takes some 10 KB. */
static void print_scale(float scale) {
  const unsigned long whole = (unsigned long)scale;
  printf("%lu.%09lu", whole, (unsigned long)((scale - (float)whole) * 1e9f + 0.5f));
}

static void print_tensor(const char *kind, const tflm_tensor *tensor) {
  printf("  %s \"%s\": %s", kind, tensor->name, type_name(tensor->type));
  for (size_t i = 0; i < tensor->rank; ++i) {
    printf("[%ld]", (long)tensor->shape[i]);
  }
  if (tensor->scale > 0.0f) {
    printf(", scale ");
    print_scale(tensor->scale);
    printf(", zero point %ld", (long)tensor->zero_point);
  }
  printf("\n");
}

static void print_model(const tflm_model *model) {
  printf("%s: %lu bytes at 0x%08lx, CRC-32 %08lx, arena %lu bytes\n", model->name, (unsigned long)model->data_size,
         (unsigned long)(uintptr_t)model->data, (unsigned long)model->data_crc32, (unsigned long)model->arena_size);
  for (size_t i = 0; i < model->input_count; ++i) {
    print_tensor("input", &model->inputs[i]);
  }
  for (size_t i = 0; i < model->output_count; ++i) {
    print_tensor("output", &model->outputs[i]);
  }
}

int main(void) {
  const tflm_model *const models[] = {&hello_world_model, &patterns_model};
  const size_t count = sizeof models / sizeof *models;
  size_t failures = 0;
  printf("flash from 0x%08lx to 0x%08lx\n", (unsigned long)(uintptr_t)flash_start, (unsigned long)(uintptr_t)flash_end);
  for (size_t i = 0; i < count; ++i) {
    const char *const fault = fault_of(models[i]);
    print_model(models[i]);
    if (fault != NULL) {
      printf("  failed: %s\n", fault);
      ++failures;
    }
  }
  printf("%lu models, %lu failed\n", (unsigned long)count, (unsigned long)failures);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
