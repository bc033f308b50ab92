/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes of TFLM's structures, for the compiler of models to read out of the object file; nothing links it. Each is text
 * in the file, whatever its format: a name, a zero, four digits of bytes, a slash, and two of alignment.
 */
#include <cstddef>

#include "tensorflow/lite/c/builtin_op_data.h"
#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/kernels/add.h"
#include "tensorflow/lite/micro/kernels/conv.h"
#include "tensorflow/lite/micro/kernels/fully_connected.h"
#include "tensorflow/lite/micro/kernels/softmax.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_allocation_info.h"
#include "tensorflow/lite/micro/micro_allocator.h"

// TFLM's classes moved from `tflite` to `tflite::micro`; with both in sight, either layout compiles.
namespace tflite {
namespace micro {}
}  // namespace tflite
using namespace tflite;
using namespace tflite::micro;

enum Enumeration { kSmall, kValues };

#define DIGIT(value) static_cast<char>('0' + (value) % 10)
#define TELL(name, type)                                                                                          \
  struct Size##name {                                                                                             \
    char label[sizeof("tflm-build size " #name)];                                                                 \
    char text[8];                                                                                                 \
  };                                                                                                              \
  extern const Size##name tflm_build_size_##name;                                                                 \
  const Size##name tflm_build_size_##name = {                                                                     \
      "tflm-build size " #name,                                                                                   \
      {DIGIT(sizeof(type) / 1000), DIGIT(sizeof(type) / 100), DIGIT(sizeof(type) / 10), DIGIT(sizeof(type)), '/', \
       DIGIT(alignof(type) / 10), DIGIT(alignof(type)), ';'}};

TELL(pointer, void *)
TELL(enumeration, Enumeration)
TELL(SingleArenaBufferAllocator, SingleArenaBufferAllocator)
TELL(GreedyMemoryPlanner, GreedyMemoryPlanner)
TELL(MicroAllocator, MicroAllocator)
TELL(SubgraphAllocations, SubgraphAllocations)
TELL(Tensor, TfLiteTensor)
TELL(EvalTensor, TfLiteEvalTensor)
TELL(AffineQuantization, TfLiteAffineQuantization)
TELL(NodeAndRegistration, NodeAndRegistration)
TELL(ScratchRequest, internal::ScratchBufferRequest)
TELL(ScratchHandle, ScratchBufferHandle)
TELL(AllocationInfo, AllocationInfo)
TELL(AddParams, TfLiteAddParams)
TELL(ConvParams, TfLiteConvParams)
TELL(DepthwiseConvParams, TfLiteDepthwiseConvParams)
TELL(FullyConnectedParams, TfLiteFullyConnectedParams)
TELL(PoolParams, TfLitePoolParams)
TELL(ReshapeParams, TfLiteReshapeParams)
TELL(AddData, OpDataAdd)
TELL(ConvData, OpDataConv)
TELL(FullyConnectedData, OpDataFullyConnected)
TELL(SoftmaxData, SoftmaxParams)
