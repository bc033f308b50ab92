/* SPDX-License-Identifier: Apache-2.0 */
/* What the scenario programs share; test_runtime.py compiles them and runs one scenario per process. */
#ifndef TFLM_BUILD_TESTS_SCENARIO_H_
#define TFLM_BUILD_TESTS_SCENARIO_H_

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tflm_build/model.h"

#define EXPECT(condition)                                            \
  do {                                                               \
    if (!(condition)) {                                              \
      printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(EXIT_FAILURE);                                            \
    }                                                                \
  } while (0)

#define EXPECT_STATUS(call, wanted)                                                                             \
  do {                                                                                                          \
    const tflm_status got_ = (call);                                                                            \
    if (got_ != (wanted)) {                                                                                     \
      printf("%s:%d: %s: got \"%s\", wanted %s\n", __FILE__, __LINE__, #call, tflm_status_text(got_), #wanted); \
      exit(EXIT_FAILURE);                                                                                       \
    }                                                                                                           \
  } while (0)

typedef struct scenario {
  const char *name;
  void (*run)(void);
} scenario;

#define SCENARIO(name) {#name, name}

/* Made by tiny_models.py. */
extern const tflm_model dense_model, pair_model, bottleneck_model, outside_model, wide_model, counter_model;

static TFLM_ALIGNED uint8_t arena[16384];
static tflm_session session;

/* Open a model in memory that holds anything, as an arena does before it is handed out. */
static inline void open_in(tflm_session *of, const tflm_model *model, uint8_t *memory) {
  memset(memory, 0xA5, model->arena_size);
  EXPECT_STATUS(tflm_open(of, model, memory, model->arena_size, TFLM_CHECK_DATA), TFLM_OK);
}

static inline int open_descriptors(void) {
  int count = 0;
  DIR *const directory = opendir("/proc/self/fd");
  EXPECT(directory != NULL);
  while (readdir(directory) != NULL) ++count;
  (void)closedir(directory);
  return count;
}

static inline void expect_no_child(void) { EXPECT(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD); }

/* Run the scenario that the command line names; EXPECT ends the process where something is not so. */
static int run_named(int argc, char **argv, const scenario *scenarios, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (argc == 2 && strcmp(argv[1], scenarios[i].name) == 0) {
      scenarios[i].run();
      return EXIT_SUCCESS;
    }
  }
  printf("no such scenario\n");
  return EXIT_FAILURE;
}

#endif /* TFLM_BUILD_TESTS_SCENARIO_H_ */
