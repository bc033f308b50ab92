/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in, see ../README.md. */
#ifndef TFLM_BUILD_STANDIN_NAMESPACES_H_
#define TFLM_BUILD_STANDIN_NAMESPACES_H_

#include "tensorflow/lite/schema/schema_generated.h"

namespace moved {
using tflite_micro::GetModel;
using tflite_micro::Model;
using tflite_micro::ModelBufferHasIdentifier;
namespace micro {
using namespace tflite_micro;
}
}  // namespace moved

#endif /* TFLM_BUILD_STANDIN_NAMESPACES_H_ */
