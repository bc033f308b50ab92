/* SPDX-License-Identifier: Apache-2.0 */
/* The ops of the tiny models, for the native backend. */
#include <new>

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace tflite {
namespace micro {}
}  // namespace tflite
using namespace tflite;
using namespace tflite::micro;

extern "C" {
const void *tiny_op_resolver(void);
const void *add_op_resolver(void);
}

/* All of them. */
static const MicroOpResolver *make_resolver(void) {
  using Resolver = MicroMutableOpResolver<8>;
  alignas(Resolver) static unsigned char memory[sizeof(Resolver)];
  Resolver &resolver = *new (memory) Resolver;
  const bool complete = resolver.AddFullyConnected() == kTfLiteOk && resolver.AddAdd() == kTfLiteOk &&
                        resolver.AddMul() == kTfLiteOk && resolver.AddGather() == kTfLiteOk &&
                        resolver.AddCallOnce() == kTfLiteOk && resolver.AddVarHandle() == kTfLiteOk &&
                        resolver.AddReadVariable() == kTfLiteOk && resolver.AddAssignVariable() == kTfLiteOk;
  return complete ? &resolver : nullptr;
}

extern "C" const void *tiny_op_resolver(void) {
  static const MicroOpResolver *const resolver = make_resolver();
  return resolver;
}

/* One of them alone. */
extern "C" const void *add_op_resolver(void) {
  using Resolver = MicroMutableOpResolver<1>;
  alignas(Resolver) static unsigned char memory[sizeof(Resolver)];
  Resolver &resolver = *new (memory) Resolver;
  return resolver.AddAdd() == kTfLiteOk ? static_cast<const MicroOpResolver *>(&resolver) : nullptr;
}
