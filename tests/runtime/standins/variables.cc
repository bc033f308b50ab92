/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in, see README.md: gives a resource variable its memory. */
#include <cstring>

#include "tensorflow/lite/micro/memory_helpers.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"

namespace tflite {

TfLiteStatus MicroResourceVariables::Allocate(int id, TfLiteContext *context, const TfLiteTensor *tensor) {
  if (id < 0 || id >= num_resource_variables_) return kTfLiteError;
  MicroResourceVariable &variable = resource_variables_[id];
  if (variable.resource_buffer != nullptr) return kTfLiteOk;
  if (TfLiteTypeSizeOf(tensor->type, &variable.bytes) != kTfLiteOk) return kTfLiteError;
  for (int i = 0; i < tensor->dims->size; ++i) variable.bytes *= static_cast<size_t>(tensor->dims->data[i]);
  variable.resource_buffer = context->AllocatePersistentBuffer(context, variable.bytes);
  if (variable.resource_buffer == nullptr) return kTfLiteError;
  std::memset(variable.resource_buffer, 0, variable.bytes);
  return kTfLiteOk;
}

}  // namespace tflite
