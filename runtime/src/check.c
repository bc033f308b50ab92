/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the runtime that needs no backend: what a descriptor says is checked, and statuses are put into words. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tflm_build/model.h"

static bool tensors_are_valid(const tflm_tensor *tensors, size_t count) {
  if (count != 0 && tensors == NULL) return false;
  for (size_t i = 0; i < count; ++i) {
    if (tensors[i].bytes == 0) return false;
  }
  return true;
}

/* Look at nothing behind the version before it is known to be ours: another version has another layout. */
static bool model_is_valid(const tflm_model *model) {
  if (model->magic != TFLM_MODEL_MAGIC || model->version != TFLM_MODEL_VERSION) return false;
  if (model->data == NULL || model->data_size == 0 || (uintptr_t)model->data % TFLM_ALIGNMENT != 0) return false;
  return tensors_are_valid(model->inputs, model->input_count) && tensors_are_valid(model->outputs, model->output_count);
}

/* CRC-32 of IEEE 802.3, four bits at a time: 64 bytes of table instead of 1024, for flash is what firmware lacks. */
static uint32_t crc32(const unsigned char *data, size_t size) {
  static const uint32_t table[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
                                     0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
                                     0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
  uint32_t crc = 0xFFFFFFFFu;
  for (size_t i = 0; i < size; ++i) {
    crc ^= data[i];
    crc = (crc >> 4) ^ table[crc & 15u];
    crc = (crc >> 4) ^ table[crc & 15u];
  }
  return ~crc;
}

tflm_status tflm_check(const tflm_model *model, unsigned flags) {
  if (model == NULL || (flags & ~TFLM_CHECK_DATA) != 0) return TFLM_INVALID_ARGUMENT;
  if (!model_is_valid(model)) return TFLM_INVALID_MODEL;
  if ((flags & TFLM_CHECK_DATA) != 0 && crc32(model->data, model->data_size) != model->data_crc32) {
    return TFLM_CORRUPT_DATA;
  }
  return TFLM_OK;
}

const char *tflm_status_text(tflm_status status) {
  switch (status) {
    case TFLM_OK:
      return "The call succeeded";
    case TFLM_INVALID_ARGUMENT:
      return "An argument is a null pointer, an unknown flag or index, or the arena is not aligned to 16 bytes";
    case TFLM_INVALID_MODEL:
      return "The model's descriptor is damaged or was made for another version of the runtime";
    case TFLM_CORRUPT_DATA:
      return "The model's data differ from the CRC-32 in its descriptor";
    case TFLM_ARENA_TOO_SMALL:
      return "The arena is too small for the model here; TARGET and KERNELS of the build decide its size";
    case TFLM_NOT_OPEN:
      return "The session is not open, or another one was opened in its arena";
    case TFLM_BACKEND_UNAVAILABLE:
      return "The interpreter could not be started";
    case TFLM_BACKEND_FAILED:
      return "The interpreter refused the model or the call";
    case TFLM_BACKEND_DIED:
      return "The interpreter's process ended or gave no answer in time";
    case TFLM_WRONG_SIZE:
      return "The size is not that of the model's input or output";
    default:
      return "The status is unknown";
  }
}
