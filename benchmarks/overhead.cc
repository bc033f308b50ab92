/* SPDX-License-Identifier: Apache-2.0 */
/* Invoke a model so often, by the runtime's API or directly: `overhead api|direct N`. Callgrind counts for both. */
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "cnn.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tflm_build/model.h"

namespace {

alignas(TFLM_ALIGNMENT) std::uint8_t arena[CNN_ARENA_SIZE];

int invoke_by_api(int count) {
  tflm_session session;
  if (tflm_open(&session, &cnn_model, arena, sizeof arena, 0) != TFLM_OK) return EXIT_FAILURE;
  for (int i = 0; i < count; ++i) {
    if (tflm_invoke(&session) != TFLM_OK) return EXIT_FAILURE;
  }
  return tflm_close(&session) == TFLM_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

int invoke_directly(int count) {
  const auto *const resolver = static_cast<const tflite::MicroOpResolver *>(cnn_op_resolver());
  tflite::MicroInterpreter interpreter(tflite::GetModel(cnn_data), *resolver, arena, sizeof arena);
  if (interpreter.AllocateTensors() != kTfLiteOk) return EXIT_FAILURE;
  for (int i = 0; i < count; ++i) {
    if (interpreter.Invoke() != kTfLiteOk) return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) return EXIT_FAILURE;
  const int count = std::atoi(argv[2]);
  return std::strcmp(argv[1], "api") == 0 ? invoke_by_api(count) : invoke_directly(count);
}
