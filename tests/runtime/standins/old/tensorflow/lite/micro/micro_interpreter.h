/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in, see ../../../../README.md. */
#ifndef TFLM_BUILD_STANDIN_OLD_INTERPRETER_H_
#define TFLM_BUILD_STANDIN_OLD_INTERPRETER_H_

#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include_next "tensorflow/lite/micro/micro_interpreter.h"

namespace old {
using tflite_micro::GetModel;
using tflite_micro::GreedyMemoryPlanner;
using tflite_micro::MicroAllocator;
using tflite_micro::MicroInterpreter;
using tflite_micro::MicroMemoryPlanner;
using tflite_micro::MicroOpResolver;
using tflite_micro::MicroResourceVariables;
using tflite_micro::ModelBufferHasIdentifier;
using tflite_micro::SingleArenaBufferAllocator;
}  // namespace old

#endif /* TFLM_BUILD_STANDIN_OLD_INTERPRETER_H_ */
