/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the runtime that every backend shares: what callers pass is checked here, once. */
#include "tflm_build/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend.h"

/* "TFLS" as a little-endian number; in a session only from tflm_open() to tflm_close(). */
#define SESSION_MAGIC 0x534C4654u

static bool is_open(const tflm_session *session) { return session != NULL && session->magic == SESSION_MAGIC; }

tflm_status tflm_open(tflm_session *session, const tflm_model *model, void *arena, size_t arena_size, unsigned flags) {
  if (session == NULL) return TFLM_INVALID_ARGUMENT;
  *session = (tflm_session){0}; /* so that a session whose open failed is known not to be open */
  if (arena == NULL || (uintptr_t)arena % TFLM_ALIGNMENT != 0) return TFLM_INVALID_ARGUMENT;
  const tflm_status checked = tflm_check(model, flags);
  if (checked != TFLM_OK) return checked;
  session->model = model;
  session->arena = (unsigned char *)arena;
  session->arena_size = arena_size;
  const tflm_status status = tflm_backend_open(session);
  if (status == TFLM_OK) session->magic = SESSION_MAGIC;
  return status;
}

void *tflm_input(const tflm_session *session, size_t index) {
  if (!is_open(session) || index >= session->model->input_count) return NULL;
  return tflm_backend_input(session, index);
}

const void *tflm_output(const tflm_session *session, size_t index) {
  if (!is_open(session) || index >= session->model->output_count) return NULL;
  return tflm_backend_output(session, index);
}

tflm_status tflm_invoke(tflm_session *session) {
  if (session == NULL) return TFLM_INVALID_ARGUMENT;
  if (!is_open(session)) return TFLM_NOT_OPEN;
  return tflm_backend_invoke(session);
}

tflm_status tflm_close(tflm_session *session) {
  if (session == NULL) return TFLM_INVALID_ARGUMENT;
  if (!is_open(session)) return TFLM_NOT_OPEN;
  session->magic = 0;
  tflm_backend_close(session);
  return TFLM_OK;
}
