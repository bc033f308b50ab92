/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The host backend's helper process, as a stream of bytes; host.c gives the bytes their meaning.
 *
 * Which Python runs it: the environment variable TFLM_BUILD_PYTHON, else the macro of that name, else python3. The
 * macro TFLM_BUILD_PYTHONPATH, if defined, is a directory that it imports from first.
 */
#ifndef TFLM_BUILD_HOST_PROCESS_H_
#define TFLM_BUILD_HOST_PROCESS_H_

#include <stdbool.h>
#include <stddef.h>

#include "backend.h"

/** Start the helper; if that fails, say why on stderr and hold nothing. */
bool tflm_helper_start(tflm_session *session);

/** Tell whether the helper was started and has not been ended by tflm_helper_end(). */
bool tflm_helper_runs(const tflm_session *session);

/** End the helper and wait for it; nothing if that has been done. */
void tflm_helper_end(tflm_session *session);

/** Send all the bytes; false if the helper is gone or takes none in time. */
bool tflm_helper_put(const tflm_session *session, const void *data, size_t size);

/** Receive all the bytes; false if the helper is gone or sends none in time. */
bool tflm_helper_get(const tflm_session *session, void *data, size_t size);

/** End a helper that said nothing of use; print on stderr how it ended, and how to name another Python. */
void tflm_helper_complain(tflm_session *session);

#endif /* TFLM_BUILD_HOST_PROCESS_H_ */
