/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that open sessions of one model at the same moment, and run its golden vectors, in turns with resets.
 * Compiled with TFLM_GOLDEN defined as the name of the vectors; exits with 0 if every answer of every thread was right.
 */
#define _DEFAULT_SOURCE

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tflm_build/golden.h"

#define THREADS 4
#define ARENA_SIZE 65536

extern const tflm_golden TFLM_GOLDEN;

static TFLM_ALIGNED unsigned char arenas[THREADS][ARENA_SIZE];
static pthread_barrier_t start;

static int run(tflm_session *session) {
  const tflm_golden *const golden = &TFLM_GOLDEN;
  const tflm_model *const model = golden->model;
  for (size_t vector = 0; vector < golden->count; ++vector) {
    for (size_t i = 0; i < model->input_count; ++i) {
      const size_t bytes = model->inputs[i].bytes;
      memcpy(tflm_input(session, i), (const unsigned char *)golden->inputs[i] + vector * bytes, bytes);
    }
    if (tflm_invoke(session) != TFLM_OK) return 1;
    for (size_t i = 0; i < model->output_count; ++i) {
      const size_t bytes = model->outputs[i].bytes;
      const unsigned char *const right = (const unsigned char *)golden->outputs[i] + vector * bytes;
      if (memcmp(tflm_output(session, i), right, bytes) != 0) return 1;
    }
  }
  return 0;
}

static void *thread(void *arena) {
  static const char failed = 1;
  const tflm_model *const model = TFLM_GOLDEN.model;
  tflm_session session;
  (void)pthread_barrier_wait(&start);
  for (int round = 0; round < 2; ++round) {
    const tflm_status status = tflm_open(&session, model, arena, ARENA_SIZE, TFLM_CHECK_DATA);
    if (status != TFLM_OK) {
      printf("%s\n", tflm_status_text(status));
      return (void *)&failed;
    }
    if (run(&session) != 0 || tflm_reset(&session) != TFLM_OK || run(&session) != 0) return (void *)&failed;
    if (tflm_close(&session) != TFLM_OK) return (void *)&failed;
  }
  return NULL;
}

int main(void) {
  pthread_t threads[THREADS];
  int failures = 0;
  if (TFLM_GOLDEN.model->arena_size > ARENA_SIZE || pthread_barrier_init(&start, NULL, THREADS) != 0) return 1;
  for (int i = 0; i < THREADS; ++i) {
    if (pthread_create(&threads[i], NULL, thread, arenas[i]) != 0) return 1;
  }
  for (int i = 0; i < THREADS; ++i) {
    void *result = NULL;
    failures += pthread_join(threads[i], &result) != 0 || result != NULL;
  }
  printf("%d of %d threads failed\n", failures, THREADS);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
