/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The native backend: TensorFlow Lite for Microcontrollers (TFLM), linked into the program. C++17, without heap,
 * exceptions or RTTI.
 *
 * Behind its mark an arena begins with the interpreter itself, and with what allocates from the rest of it, resource
 * variables too. So a session holds nothing outside of its arena, and as many can be open as there are arenas.
 * `pointer` of the session is the interpreter. The ops come from the descriptor's op_resolver; all sessions of a model
 * share them.
 *
 * Why a model is refused goes to TFLM's own log, MicroPrintf(), which TF_LITE_STRIP_ERROR_STRINGS removes.
 */
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#include "backend.h"
#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_op_resolver.h"
#include "tensorflow/lite/micro/micro_resource_variable.h"
#include "tensorflow/lite/schema/schema_generated.h"

// TFLM's classes moved from `tflite` to `tflite::micro`; with both in sight, either layout compiles.
namespace tflite {
namespace micro {}
}  // namespace tflite
using namespace tflite;
using namespace tflite::micro;

namespace {

constexpr std::size_t aligned(std::size_t size) {
  return (size + TFLM_ALIGNMENT - 1) / TFLM_ALIGNMENT * TFLM_ALIGNMENT;
}

// TFLM's allocator, which leaves for where the model is started as soon as the arena is full: TFLM itself writes
// through many of the null pointers that it would get. It also counts what an arena must have. Nothing in TFLM has a
// destructor to run while it allocates.
class Memory final : public SingleArenaBufferAllocator {
 public:
  Memory(std::uint8_t *start, std::size_t size) : SingleArenaBufferAllocator(start, size), reach_(start) {}

  // Bytes that all of the model's allocations need together, wherever the arena ends.
  std::size_t needed() const { return needed_; }

  // Whether TFLM gave up while it planned, which it does in what the arena has left.
  bool planning() const { return planning_; }

  MicroMemoryPlanner *make_planner() {
    std::uint8_t *const place = AllocatePersistentBuffer(sizeof(GreedyMemoryPlanner), alignof(GreedyMemoryPlanner));
    return planner_ = new (place) GreedyMemoryPlanner;
  }

  // Where to leave for; null: return as TFLM's own allocator does.
  void leave_for(std::jmp_buf *full) { full_ = full; }

  std::uint8_t *AllocatePersistentBuffer(std::size_t size, std::size_t alignment) override {
    std::uint8_t *const buffer = SingleArenaBufferAllocator::AllocatePersistentBuffer(size, alignment);
    // TFLM does not look whether what stays is laid over what is only looked at.
    if (buffer == nullptr || buffer < reach_) leave();
    note(reach_);
    return buffer;
  }

  std::uint8_t *AllocateTemp(std::size_t size, std::size_t alignment) override {
    std::uint8_t *const buffer = SingleArenaBufferAllocator::AllocateTemp(size, alignment);
    if (buffer == nullptr) return leave();
    if (planning_) {
      reach_ = buffer;  // what of it the planner needs is known once it has planned
    } else {
      note(buffer + size);
    }
    return buffer;
  }

  std::uint8_t *AllocateResizableBuffer(std::size_t size, std::size_t alignment) override {
    std::uint8_t *const buffer = SingleArenaBufferAllocator::AllocateResizableBuffer(size, alignment);
    if (buffer == nullptr) return leave();
    note(buffer + size);
    return buffer;
  }

  TfLiteStatus ResizeBuffer(std::uint8_t *buffer, std::size_t size, std::size_t alignment) override {
    if (SingleArenaBufferAllocator::ResizeBuffer(buffer, size, alignment) != kTfLiteOk) leave();
    note(buffer + size);
    return kTfLiteOk;
  }

  TfLiteStatus ReserveNonPersistentOverlayMemory(std::size_t size, std::size_t alignment) override {
    if (SingleArenaBufferAllocator::ReserveNonPersistentOverlayMemory(size, alignment) != kTfLiteOk) leave();
    note(GetOverlayMemoryAddress() + size);
    return kTfLiteOk;
  }

  TfLiteStatus ResetTempAllocations() override {
    if (planning_) {
      note(reach_ + static_cast<std::size_t>(planner_->GetBufferCount()) * GreedyMemoryPlanner::per_buffer_size());
    }
    planning_ = false;
    reach_ = head();
    return SingleArenaBufferAllocator::ResetTempAllocations();
  }

  // Only asked for what is left for planning, all of which is then allocated.
  std::size_t GetAvailableMemory(std::size_t alignment) const override {
    planning_ = true;
    return SingleArenaBufferAllocator::GetAvailableMemory(alignment);
  }

  // For the destructor, which nothing calls. NOLINTNEXTLINE(cert-dcl54-cpp,misc-new-delete-overloads)
  void operator delete(void *) {}

 private:
  // Not by an exception: firmware and TFLM are compiled without.
  std::uint8_t *leave() {
    if (full_ != nullptr) std::longjmp(*full_, 1);  // NOLINT(cert-err52-cpp)
    return nullptr;
  }

  void note(std::uint8_t *reach) {
    reach_ = reach;
    const std::size_t bytes = static_cast<std::size_t>(reach - GetOverlayMemoryAddress()) + GetPersistentUsedBytes();
    if (bytes > needed_) needed_ = bytes;
  }

  mutable bool planning_ = false;
  std::uint8_t *reach_;  // where ends what is planned, or only looked at
  GreedyMemoryPlanner *planner_ = nullptr;
  std::jmp_buf *full_ = nullptr;
  std::size_t needed_ = 0;
};

constexpr std::size_t kMemoryPlace = TFLM_MARK_SIZE + aligned(sizeof(MicroInterpreter));
constexpr std::size_t kInterpreterSize = kMemoryPlace + aligned(sizeof(Memory));

// What the interpreter itself leaves of TFLM_INTERPRETER_SIZE goes to TFLM: its structures differ in size from version
// to version too. An allocator of TFLM's own is counted among these.
static_assert(kInterpreterSize <= TFLM_INTERPRETER_SIZE + sizeof(SingleArenaBufferAllocator),
              "arenas have no room for this TFLM's interpreter");
static_assert(alignof(MicroInterpreter) <= TFLM_ALIGNMENT && alignof(Memory) <= TFLM_ALIGNMENT,
              "an arena is not aligned for this TFLM's interpreter");

constexpr std::size_t kSmallestFlatbuffer = 8;  // the offset of its root, and the identifier
constexpr unsigned kSchemaVersion = 3;

bool data_is_a_model(const tflm_model *model) {
  return model->data_size >= kSmallestFlatbuffer && ModelBufferHasIdentifier(model->data) &&
         GetModel(model->data)->version() == kSchemaVersion;
}

MicroInterpreter *interpreter_of(const tflm_session *session) {
  return static_cast<MicroInterpreter *>(session->pointer);
}

Memory *memory_of(const tflm_session *session) { return reinterpret_cast<Memory *>(session->arena + kMemoryPlace); }

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

tflm_status allocate(tflm_session *session, const MicroOpResolver &resolver) {
  const tflm_model *const model = session->model;
  Memory *const memory = memory_of(session);
  MicroAllocator *const allocator = MicroAllocator::Create(memory, memory->make_planner());
  MicroResourceVariables *variables = nullptr;
  if (model->variable_count > 0) {
    variables = MicroResourceVariables::Create(allocator, static_cast<int>(model->variable_count));
  }
  auto *const interpreter =
      new (session->arena + TFLM_MARK_SIZE) MicroInterpreter(GetModel(model->data), resolver, allocator, variables);
  // Not destroyed: the destructor goes through all ops, and some may not have been set up. It would free nothing.
  if (interpreter->AllocateTensors() != kTfLiteOk) {
    return memory->planning() ? TFLM_ARENA_TOO_SMALL : TFLM_BACKEND_FAILED;
  }
  memory->leave_for(nullptr);
  session->pointer = interpreter;
  return TFLM_OK;
}

tflm_status allocate_or_leave(tflm_session *session, const MicroOpResolver &resolver) {
  if (session->arena_size < kInterpreterSize) return TFLM_ARENA_TOO_SMALL;
  std::jmp_buf full;
  if (setjmp(full) != 0) return TFLM_ARENA_TOO_SMALL;  // NOLINT(cert-err52-cpp)
  const std::size_t size = (session->arena_size - kInterpreterSize) / TFLM_ALIGNMENT * TFLM_ALIGNMENT;
  Memory *const memory = new (memory_of(session)) Memory(session->arena + kInterpreterSize, size);
  memory->leave_for(&full);
  return allocate(session, resolver);
}

// Starts the model in its arena.
tflm_status start(tflm_session *session, const MicroOpResolver &resolver) {
  const tflm_status status = allocate_or_leave(session, resolver);
  if (status == TFLM_ARENA_TOO_SMALL) {
    MicroPrintf("tflm-build: %s: the arena is too small; got %d bytes, built for %d; %s", session->model->name,
                static_cast<int>(session->arena_size), static_cast<int>(session->model->arena_size),
                "build with TARGET and KERNELS of this chip, or with tflm_arena_used() of a larger arena as ARENA");
  }
  return status;
}

}  // namespace

tflm_status tflm_backend_open(tflm_session *session) {
  const tflm_model *const model = session->model;
  if (model->op_resolver == nullptr) {
    MicroPrintf("tflm-build: %s: no ops; compile %s.c with TFLM_BUILD_NATIVE defined", model->name, model->name);
    return TFLM_BACKEND_UNAVAILABLE;
  }
  if (!data_is_a_model(model)) {
    MicroPrintf("tflm-build: %s: the data are not a TensorFlow Lite model of version 3", model->name);
    return TFLM_BACKEND_FAILED;
  }
  const auto *const resolver = static_cast<const MicroOpResolver *>(model->op_resolver());
  if (resolver == nullptr) return TFLM_BACKEND_FAILED;  // TFLM has said which op it does not take

  const tflm_status started = start(session, *resolver);
  if (started != TFLM_OK) return started;
  if (!tensors_are_described(interpreter_of(session), model)) {
    MicroPrintf("tflm-build: %s: TFLM's tensors are not those of the descriptor; is TFLM compiled with the same %s?",
                model->name, "TF_LITE_STATIC_MEMORY");
    tflm_backend_close(session);
    return TFLM_BACKEND_FAILED;
  }
  return TFLM_OK;
}

std::size_t tflm_backend_arena_used(const tflm_session *session) {
  return kInterpreterSize + aligned(memory_of(session)->needed());
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
