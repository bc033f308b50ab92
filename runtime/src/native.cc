/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native backend: TensorFlow Lite for Microcontrollers (TFLM), linked into the program. C++17, without heap,
 * exceptions or RTTI.
 *
 * Behind its mark an arena begins with the interpreter itself, both in at most TFLM_INTERPRETER_SIZE bytes; TFLM
 * allocates from the rest, resource variables too. So a session holds nothing outside of its arena, and as many can be
 * open as there are arenas. `pointer` of the session is the interpreter. The ops come from the descriptor's
 * op_resolver; all sessions of a model share them.
 *
 * Why a model is refused goes to TFLM's own log, MicroPrintf(), which TF_LITE_STRIP_ERROR_STRINGS removes.
 */
#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>

#include "backend.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"
#if __has_include("tensorflow/lite/micro/micro_log.h")
#include "tensorflow/lite/micro/micro_log.h"
#else
#define MicroPrintf(...)  // TFLM of before 2022
#endif

// TFLM's classes moved from `tflite` to `tflite::micro`; with both in sight, either layout compiles.
namespace tflite {
namespace micro {}
}  // namespace tflite
using namespace tflite;
using namespace tflite::micro;

namespace {

// What the interpreter itself leaves of TFLM_INTERPRETER_SIZE goes to TFLM: its structures differ in size from version
// to version too.
constexpr std::size_t kInterpreterSize =
    TFLM_MARK_SIZE + (sizeof(MicroInterpreter) + TFLM_ALIGNMENT - 1) / TFLM_ALIGNMENT * TFLM_ALIGNMENT;
static_assert(kInterpreterSize <= TFLM_INTERPRETER_SIZE, "arenas have no room for this TFLM's interpreter");
static_assert(alignof(MicroInterpreter) <= TFLM_ALIGNMENT, "an arena is not aligned for this TFLM's interpreter");

constexpr std::size_t kSmallestFlatbuffer = 8;  // the offset of its root, and the identifier
constexpr unsigned kSchemaVersion = 3;

// TFLM writes its first objects without asking whether the arena holds them: 456 bytes on a 64-bit host.
constexpr std::size_t kFirstObjects = 64 * sizeof(void *);

// In most arenas that are too small for a model, TFLM does not fail but writes through null pointers. So a 64-bit
// target has to bring what was measured on one. A 32-bit target needs less, but more than half: its pointers take half
// as much, data the same.
constexpr std::size_t kShareOfMeasured = sizeof(void *) >= 8 ? 1 : 2;

bool arena_is_hopeless(const tflm_session *session) {
  return session->arena_size < kInterpreterSize + kFirstObjects ||
         session->arena_size < session->model->arena_size / kShareOfMeasured;
}

bool data_is_a_model(const tflm_model *model) {
  return model->data_size >= kSmallestFlatbuffer && ModelBufferHasIdentifier(model->data) &&
         GetModel(model->data)->version() == kSchemaVersion;
}

MicroInterpreter *interpreter_of(const tflm_session *session) {
  return static_cast<MicroInterpreter *>(session->pointer);
}

// C++ must not load a value that an enumeration does not have, and a descriptor or a tensor may hold any.
template <typename Enumeration>
int number_in(const Enumeration &field) {
  std::underlying_type_t<Enumeration> number;
  std::memcpy(&number, &field, sizeof number);
  return static_cast<int>(number);
}

// An element type as TFLM numbers it, and the bytes of one element; 0 of a type that no descriptor has.
struct Element {
  int number;
  std::size_t bytes;
};

constexpr Element element_of(int type) {
  switch (type) {
    case TFLM_FLOAT32:
      return {kTfLiteFloat32, 4};
    case TFLM_INT32:
      return {kTfLiteInt32, 4};
    case TFLM_UINT8:
      return {kTfLiteUInt8, 1};
    case TFLM_INT64:
      return {kTfLiteInt64, 8};
    case TFLM_BOOL:
      return {kTfLiteBool, 1};
    case TFLM_INT16:
      return {kTfLiteInt16, 2};
    case TFLM_INT8:
      return {kTfLiteInt8, 1};
    default:
      return {kTfLiteNoType, 0};
  }
}

// Where TFLM was compiled with another TF_LITE_STATIC_MEMORY than this file, the fields of its tensors lie elsewhere.
// The type comes first: what is read in its place is never a type of ours that is right, so nothing else is looked at
// then. The field `bytes` is not used: some TFLM have none.
bool is_described(const TfLiteTensor *tensor, const tflm_tensor &described) {
  const Element element = element_of(number_in(described.type));
  if (tensor == nullptr || number_in(tensor->type) != element.number || tensor->data.raw == nullptr) return false;
  std::size_t bytes = element.bytes;
  for (int i = 0; i < tensor->dims->size; ++i) bytes *= static_cast<std::size_t>(tensor->dims->data[i]);
  return bytes == described.bytes;
}

bool tensors_are_described(MicroInterpreter *interpreter, const tflm_model *model) {
  if (interpreter->inputs_size() != model->input_count || interpreter->outputs_size() != model->output_count) {
    return false;
  }
  for (std::size_t i = 0; i < model->input_count; ++i) {
    if (!is_described(interpreter->input(i), model->inputs[i])) return false;
  }
  for (std::size_t i = 0; i < model->output_count; ++i) {
    if (!is_described(interpreter->output(i), model->outputs[i])) return false;
  }
  return true;
}

// Starts the model in its arena. TFLM_BACKEND_FAILED: it was refused, or the arena is too small for it.
tflm_status start(tflm_session *session, const MicroOpResolver &resolver) {
  const tflm_model *const model = session->model;
  auto *const allocator =
      MicroAllocator::Create(session->arena + kInterpreterSize, session->arena_size - kInterpreterSize);
  if (allocator == nullptr) return TFLM_BACKEND_FAILED;
  MicroResourceVariables *variables = nullptr;
  if (model->variable_count > 0) {
    variables = MicroResourceVariables::Create(allocator, static_cast<int>(model->variable_count));
  }
  auto *const interpreter =
      new (session->arena + TFLM_MARK_SIZE) MicroInterpreter(GetModel(model->data), resolver, allocator, variables);
  // Not destroyed: the destructor goes through all ops, and some may not have been set up. It would free nothing.
  if (interpreter->AllocateTensors() != kTfLiteOk) return TFLM_BACKEND_FAILED;
  session->pointer = interpreter;
  return TFLM_OK;
}

}  // namespace

tflm_status tflm_backend_open(tflm_session *session) {
  const tflm_model *const model = session->model;
  if (model->op_resolver == nullptr) {
    MicroPrintf("tflm-build: %s: no ops; compile %s.c with TFLM_BUILD_NATIVE defined", model->name, model->name);
    return TFLM_BACKEND_UNAVAILABLE;
  }
  if (arena_is_hopeless(session)) return TFLM_ARENA_TOO_SMALL;
  if (!data_is_a_model(model)) {
    MicroPrintf("tflm-build: %s: the data are not a TensorFlow Lite model of version 3", model->name);
    return TFLM_BACKEND_FAILED;
  }
  const auto *const resolver = static_cast<const MicroOpResolver *>(model->op_resolver());
  if (resolver == nullptr) return TFLM_BACKEND_FAILED;  // TFLM has said which op it does not take

  const tflm_status started = start(session, *resolver);
  if (started != TFLM_OK) {
    MicroPrintf("tflm-build: %s: not started in %d bytes of arena; if TFLM lacks memory or buffers, pass more",
                model->name, static_cast<int>(session->arena_size));
    return session->arena_size < model->arena_size ? TFLM_ARENA_TOO_SMALL : started;
  }
  if (!tensors_are_described(interpreter_of(session), model)) {
    MicroPrintf("tflm-build: %s: TFLM's tensors are not those of the descriptor; is TFLM compiled with the same %s?",
                model->name, "TF_LITE_STATIC_MEMORY");
    tflm_backend_close(session);
    return TFLM_BACKEND_FAILED;
  }
  return TFLM_OK;
}

void *tflm_backend_input(const tflm_session *session, std::size_t index) {
  return interpreter_of(session)->input(index)->data.raw;
}

const void *tflm_backend_output(const tflm_session *session, std::size_t index) {
  return interpreter_of(session)->output(index)->data.raw;
}

tflm_status tflm_backend_invoke(tflm_session *session) {
  return interpreter_of(session)->Invoke() == kTfLiteOk ? TFLM_OK : TFLM_BACKEND_FAILED;
}

// Not MicroInterpreter::Reset(), which sets variables to zero and does not run CALL_ONCE again, that gave them their
// first values.
tflm_status tflm_backend_reset(tflm_session *session) {
  tflm_backend_close(session);
  return start(session, *static_cast<const MicroOpResolver *>(session->model->op_resolver()));
}

void tflm_backend_close(tflm_session *session) {
  if (session->pointer != nullptr) interpreter_of(session)->~MicroInterpreter();
  session->pointer = nullptr;
}
