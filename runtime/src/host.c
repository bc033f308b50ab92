/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host backend: the official tflite-micro interpreter, in a Python helper process (python/tflm_build/host.py), for
 * developers' machines where there is no TensorFlow Lite for Microcontrollers (TFLM) to link.
 *
 * Protocol, version 2, over one stream socket that the helper gets as file descriptor 0. A number is an unsigned 64-bit
 * integer, least significant byte first; a status is a number of tflm_status.
 *
 *     helper   hello     magic "TFLMHOST", version; sent once the interpreter is imported
 *     runtime  open      arena size (at most 1 GiB), data size (at most 256 MiB), count of inputs, count of outputs (at
 *                        most 1024), for each input, then for each output: element type (tflm_type), bytes; the data
 *     helper             status: TFLM_OK; or TFLM_ARENA_TOO_SMALL or TFLM_BACKEND_FAILED, and it ends
 *     runtime  invoke    1, the bytes of each input; as often as wanted
 *     helper             status: TFLM_OK and the bytes of each output; or TFLM_BACKEND_FAILED and nothing more
 *     runtime  reset     2
 *     helper             status: TFLM_OK, and the model is as it was opened; or TFLM_ARENA_TOO_SMALL or
 *                        TFLM_BACKEND_FAILED, and the runtime ends it
 *
 * The runtime closes the socket to end the helper. The helper states a refusal's reason on stderr.
 */
#include "backend.h"

#if defined(_WIN32)

/* There is no tflite-micro wheel for Windows that a helper could run; firmware code still compiles and links. */
tflm_status tflm_backend_open(tflm_session *session) {
  (void)session;
  return TFLM_BACKEND_UNAVAILABLE;
}

size_t tflm_backend_arena_used(const tflm_session *session) {
  (void)session;
  return 0;
}

void *tflm_backend_input(const tflm_session *session, size_t index) {
  (void)session, (void)index;
  return NULL;
}

const void *tflm_backend_output(const tflm_session *session, size_t index) {
  (void)session, (void)index;
  return NULL;
}

tflm_status tflm_backend_invoke(tflm_session *session) {
  (void)session;
  return TFLM_BACKEND_UNAVAILABLE;
}

tflm_status tflm_backend_reset(tflm_session *session) {
  (void)session;
  return TFLM_BACKEND_UNAVAILABLE;
}

void tflm_backend_close(tflm_session *session) { (void)session; }

#else

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "host_process.h"

#define HELLO_MAGIC UINT64_C(0x54534F484D4C4654)
#define PROTOCOL_VERSION UINT64_C(2)
#define OP_INVOKE UINT64_C(1)
#define OP_RESET UINT64_C(2)
#define MAX_DATA_SIZE ((size_t)256 << 20)
#define MAX_ARENA_SIZE ((size_t)1 << 30)
#define MAX_TENSORS 1024
#define SPENT_INPUT 0xA5 /* what inputs read as after an invoke */

/* ---- where the tensors lie --------------------------------------------------------------------------------------- */

/* Bytes of the first `count` tensors, each rounded up to the alignment; `limit + 1` if that is more than `limit`. */
static size_t extent(const tflm_tensor *tensors, size_t count, size_t limit) {
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    if (tensors[i].bytes > limit) return limit + 1; /* before it could overflow */
    total += (tensors[i].bytes + TFLM_ALIGNMENT - 1) / TFLM_ALIGNMENT * TFLM_ALIGNMENT;
    if (total > limit) return limit + 1;
  }
  return total;
}

/* Bytes of an arena that tensors may take. */
static size_t usable(const tflm_session *session) {
  return session->arena_size / TFLM_ALIGNMENT * TFLM_ALIGNMENT - TFLM_MARK_SIZE;
}

/*
 * Inputs go to the arena's start and outputs to its end. As in TFLM they share memory where the arena cannot hold both:
 * an arena that is enough on a device, where outputs may lie over inputs that have been read, has to be enough here.
 */
void *tflm_backend_input(const tflm_session *session, size_t index) {
  return session->arena + TFLM_MARK_SIZE + extent(session->model->inputs, index, usable(session));
}

static unsigned char *output_at(const tflm_session *session, size_t index) {
  const tflm_model *const model = session->model;
  const size_t room = usable(session);
  const size_t start = TFLM_MARK_SIZE + room - extent(model->outputs, model->output_count, room);
  return session->arena + start + extent(model->outputs, index, room);
}

const void *tflm_backend_output(const tflm_session *session, size_t index) { return output_at(session, index); }

/* ---- the protocol ------------------------------------------------------------------------------------------------ */

static bool put_number(const tflm_session *session, uint64_t number) {
  unsigned char bytes[8];
  for (unsigned i = 0; i < sizeof bytes; ++i) bytes[i] = (unsigned char)(number >> 8 * i);
  return tflm_helper_put(session, bytes, sizeof bytes);
}

static bool get_number(const tflm_session *session, uint64_t *number) {
  unsigned char bytes[8];
  if (!tflm_helper_get(session, bytes, sizeof bytes)) return false;
  *number = 0;
  for (unsigned i = 0; i < sizeof bytes; ++i) *number |= (uint64_t)bytes[i] << 8 * i;
  return true;
}

static bool put_types(const tflm_session *session, const tflm_tensor *tensors, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!put_number(session, (uint64_t)tensors[i].type) || !put_number(session, tensors[i].bytes)) return false;
  }
  return true;
}

static bool hear_hello(const tflm_session *session) {
  uint64_t magic, version;
  return get_number(session, &magic) && magic == HELLO_MAGIC && get_number(session, &version) &&
         version == PROTOCOL_VERSION;
}

static bool put_model(const tflm_session *session) {
  const tflm_model *const model = session->model;
  return put_number(session, session->arena_size) && put_number(session, model->data_size) &&
         put_number(session, model->input_count) && put_number(session, model->output_count) &&
         put_types(session, model->inputs, model->input_count) &&
         put_types(session, model->outputs, model->output_count) &&
         tflm_helper_put(session, model->data, model->data_size);
}

static tflm_status get_status(const tflm_session *session) {
  uint64_t status;
  if (!get_number(session, &status)) return TFLM_BACKEND_DIED;
  switch (status) {
    case TFLM_OK:
    case TFLM_ARENA_TOO_SMALL:
    case TFLM_BACKEND_FAILED:
      return (tflm_status)status;
    default:
      return TFLM_BACKEND_DIED; /* it does not speak the protocol any more */
  }
}

static tflm_status open_model(const tflm_session *session) {
  if (!put_model(session)) return TFLM_BACKEND_DIED;
  const tflm_status status = get_status(session);
  /* In some arenas that are too small TFLM dies by a signal, telling nothing: then this is the likeliest reason. */
  if (status == TFLM_BACKEND_DIED && session->arena_size < session->model->arena_size) return TFLM_ARENA_TOO_SMALL;
  return status;
}

/* A device uses the memory of its inputs again: firmware that forgets to write them again shall notice it here. */
static void spend_inputs(const tflm_session *session) {
  for (size_t i = 0; i < session->model->input_count; ++i) {
    memset(tflm_backend_input(session, i), SPENT_INPUT, session->model->inputs[i].bytes);
  }
}

static tflm_status invoke_model(const tflm_session *session) {
  const tflm_model *const model = session->model;
  if (!put_number(session, OP_INVOKE)) return TFLM_BACKEND_DIED;
  for (size_t i = 0; i < model->input_count; ++i) {
    if (!tflm_helper_put(session, tflm_backend_input(session, i), model->inputs[i].bytes)) return TFLM_BACKEND_DIED;
  }
  spend_inputs(session);
  const tflm_status status = get_status(session);
  for (size_t i = 0; status == TFLM_OK && i < model->output_count; ++i) {
    if (!tflm_helper_get(session, output_at(session, i), model->outputs[i].bytes)) return TFLM_BACKEND_DIED;
  }
  return status;
}

/* ---- the backend ------------------------------------------------------------------------------------------------- */

tflm_status tflm_backend_open(tflm_session *session) {
  const tflm_model *const model = session->model;
  const size_t room = usable(session);
  if (model->data_size > MAX_DATA_SIZE || session->arena_size > MAX_ARENA_SIZE) return TFLM_BACKEND_FAILED;
  if (model->input_count > MAX_TENSORS || model->output_count > MAX_TENSORS) return TFLM_BACKEND_FAILED;
  if (extent(model->inputs, model->input_count, room) > room) return TFLM_ARENA_TOO_SMALL;
  if (extent(model->outputs, model->output_count, room) > room) return TFLM_ARENA_TOO_SMALL;

  if (!tflm_helper_start(session)) return TFLM_BACKEND_UNAVAILABLE;
  tflm_status status;
  if (hear_hello(session)) {
    status = open_model(session);
  } else {
    status = TFLM_BACKEND_UNAVAILABLE;
    tflm_helper_complain(session);
  }
  if (status != TFLM_OK) tflm_helper_end(session);
  return status;
}

tflm_status tflm_backend_invoke(tflm_session *session) {
  if (!tflm_helper_runs(session)) return TFLM_BACKEND_DIED;
  const tflm_status status = invoke_model(session);
  if (status == TFLM_BACKEND_DIED) tflm_helper_end(session);
  return status;
}

tflm_status tflm_backend_reset(tflm_session *session) {
  spend_inputs(session);
  const bool asked = tflm_helper_runs(session) && put_number(session, OP_RESET);
  const tflm_status status = asked ? get_status(session) : TFLM_BACKEND_DIED;
  if (status != TFLM_OK) tflm_helper_end(session);
  return status;
}

/* The arena that TFLM works in is the helper's, and has the size that the build found. */
size_t tflm_backend_arena_used(const tflm_session *session) { return session->model->arena_size; }

void tflm_backend_close(tflm_session *session) { tflm_helper_end(session); }

#endif /* _WIN32 */
