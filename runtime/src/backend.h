/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Between model.c, which checks what callers pass, and the one backend that is linked.
 *
 * A backend is only called with a session whose `model`, `arena` and `arena_size` are set and checked, and with indices
 * that the model has; `pointer` and `handle` start as zeros and are the backend's own: `pointer` into the arena,
 * `handle` elsewhere. The first TFLM_MARK_SIZE bytes of the arena, which has at least so many, are model.c's.
 */
#ifndef TFLM_BUILD_BACKEND_H_
#define TFLM_BUILD_BACKEND_H_

#include "tflm_build/model.h"

/** Bytes at an arena's start that say whose it is; with them, what follows is aligned still. */
#define TFLM_MARK_SIZE TFLM_ALIGNMENT

#ifdef __cplusplus
extern "C" {
#endif

/** Start the model. On any status but TFLM_OK nothing may stay held: tflm_backend_close() does not follow. */
tflm_status tflm_backend_open(tflm_session *session);

/** Return the bytes that an arena of the model must have here. */
size_t tflm_backend_arena_used(const tflm_session *session);

/** Return where input `index` lies in the arena; the same for as long as the session is open. */
void *tflm_backend_input(const tflm_session *session, size_t index);

/** Return where output `index` lies in the arena; the same for as long as the session is open. */
const void *tflm_backend_output(const tflm_session *session, size_t index);

/** Run the model once. */
tflm_status tflm_backend_invoke(tflm_session *session);

/** Start the model anew, in the same place. On any status but TFLM_OK nothing may stay held, as in opening. */
tflm_status tflm_backend_reset(tflm_session *session);

/** Free what tflm_backend_open() took; `pointer` is NULL where another session has the arena by now. */
void tflm_backend_close(tflm_session *session);

#ifdef __cplusplus
}
#endif

#endif /* TFLM_BUILD_BACKEND_H_ */
