/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the runtime that every backend shares: what callers pass is checked here, once. */
#include "tflm_build/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "backend.h"

/* An arena begins with the address of the session that it belongs to, from the end of its opening to its closing. */
static void mark(const tflm_session *session, const tflm_session *owner) {
  const uintptr_t address = (uintptr_t)owner;
  memcpy(session->arena, &address, sizeof address);
}

static bool has_arena(const tflm_session *session) {
  uintptr_t address;
  memcpy(&address, session->arena, sizeof address);
  return address == (uintptr_t)session;
}

static bool is_open(const tflm_session *session) {
  return session != NULL && session->self == session && has_arena(session);
}

/* Keep a session open, or not, by what the backend has reported. */
static tflm_status settle(tflm_session *session, tflm_status status) {
  session->self = status == TFLM_OK ? session : NULL;
  mark(session, session->self);
  return status;
}

tflm_status tflm_open(tflm_session *session, const tflm_model *model, void *arena, size_t arena_size, unsigned flags) {
  if (session == NULL) return TFLM_INVALID_ARGUMENT;
  *session = (tflm_session){0}; /* so that a session whose open failed is known not to be open */
  if (arena == NULL || (uintptr_t)arena % TFLM_ALIGNMENT != 0) return TFLM_INVALID_ARGUMENT;
  const tflm_status checked = tflm_check(model, flags);
  if (checked != TFLM_OK) return checked;
  if (arena_size < TFLM_MARK_SIZE) return TFLM_ARENA_TOO_SMALL;
  session->model = model;
  session->arena = (unsigned char *)arena;
  session->arena_size = arena_size;
  return settle(session, tflm_backend_open(session));
}

size_t tflm_arena_used(const tflm_session *session) { return is_open(session) ? tflm_backend_arena_used(session) : 0; }

void *tflm_input(const tflm_session *session, size_t index) {
  if (!is_open(session) || index >= session->model->input_count) return NULL;
  return tflm_backend_input(session, index);
}

const void *tflm_output(const tflm_session *session, size_t index) {
  if (!is_open(session) || index >= session->model->output_count) return NULL;
  return tflm_backend_output(session, index);
}

tflm_status tflm_set_input(tflm_session *session, size_t index, const void *data, size_t bytes) {
  if (session == NULL || data == NULL) return TFLM_INVALID_ARGUMENT;
  if (!is_open(session)) return TFLM_NOT_OPEN;
  if (index >= session->model->input_count) return TFLM_INVALID_ARGUMENT;
  if (bytes != session->model->inputs[index].bytes) return TFLM_WRONG_SIZE;
  memcpy(tflm_backend_input(session, index), data, bytes);
  return TFLM_OK;
}

tflm_status tflm_get_output(const tflm_session *session, size_t index, void *data, size_t bytes) {
  if (session == NULL || data == NULL) return TFLM_INVALID_ARGUMENT;
  if (!is_open(session)) return TFLM_NOT_OPEN;
  if (index >= session->model->output_count) return TFLM_INVALID_ARGUMENT;
  if (bytes != session->model->outputs[index].bytes) return TFLM_WRONG_SIZE;
  memcpy(data, tflm_backend_output(session, index), bytes);
  return TFLM_OK;
}

tflm_status tflm_invoke(tflm_session *session) {
  if (session == NULL) return TFLM_INVALID_ARGUMENT;
  if (!is_open(session)) return TFLM_NOT_OPEN;
  return tflm_backend_invoke(session);
}

tflm_status tflm_reset(tflm_session *session) {
  if (session == NULL) return TFLM_INVALID_ARGUMENT;
  if (!is_open(session)) return TFLM_NOT_OPEN;
  return settle(session, tflm_backend_reset(session));
}

tflm_status tflm_close(tflm_session *session) {
  if (session == NULL) return TFLM_INVALID_ARGUMENT;
  if (session->self != session) return TFLM_NOT_OPEN;
  const bool open = has_arena(session);
  if (open) {
    mark(session, NULL);
  } else {
    session->pointer = NULL; /* what it had in the arena is gone */
  }
  session->self = NULL;
  tflm_backend_close(session);
  return open ? TFLM_OK : TFLM_NOT_OPEN;
}
