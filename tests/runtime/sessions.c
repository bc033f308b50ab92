/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of open sessions; `sessions NAME` runs one and exits with 0 if it went as it should. */
#define _DEFAULT_SOURCE

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "scenario.h"

static TFLM_ALIGNED uint8_t other_arena[16384];

static const int8_t dense_input[] = {DENSE_INPUT};
static const int8_t dense_expected[] = {DENSE_EXPECTED};

/* White box: where host_process.c keeps the helper's process id. */
static pid_t helper(const tflm_session *of) { return (pid_t)of->handle[1]; }

static void open_dense(void) { open_in(&session, &dense_model, arena); }

static void run_dense(tflm_session *of) {
  EXPECT_STATUS(tflm_set_input(of, 0, dense_input, sizeof dense_input), TFLM_OK);
  EXPECT_STATUS(tflm_invoke(of), TFLM_OK);
  EXPECT(memcmp(tflm_output(of, 0), dense_expected, sizeof dense_expected) == 0);
}

static void answers(void) {
  open_dense();
  run_dense(&session);
  run_dense(&session);
  EXPECT((uintptr_t)tflm_input(&session, 0) % TFLM_ALIGNMENT == 0);
  EXPECT((uintptr_t)tflm_output(&session, 0) % TFLM_ALIGNMENT == 0);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  expect_no_child();
}

static void several_tensors(void) {
  open_in(&session, &pair_model, arena);
  float *const a = tflm_input(&session, 0), *const b = tflm_input(&session, 1);
  for (int i = 0; i < 5; ++i) {
    a[i] = (float)i;
    b[i] = 0.25f;
  }
  EXPECT_STATUS(tflm_invoke(&session), TFLM_OK);
  const float *const sum = tflm_output(&session, 0), *const product = tflm_output(&session, 1);
  for (int i = 0; i < 5; ++i) {
    EXPECT(sum[i] == (float)i + 0.25f);
    EXPECT(product[i] == (float)i * 0.25f);
  }
  EXPECT(tflm_input(&session, 2) == NULL && tflm_output(&session, 2) == NULL);
  EXPECT(tflm_input(&session, (size_t)-1) == NULL && tflm_output(&session, (size_t)-1) == NULL);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static void wrong_sizes(void) {
  int8_t answer[sizeof dense_expected + 1] = {0};
  open_dense();
  run_dense(&session);
  EXPECT_STATUS(tflm_set_input(&session, 0, dense_input, sizeof dense_input + 1), TFLM_WRONG_SIZE);
  EXPECT_STATUS(tflm_set_input(&session, 0, dense_input, sizeof dense_input - 1), TFLM_WRONG_SIZE);
  EXPECT_STATUS(tflm_set_input(&session, 1, dense_input, sizeof dense_input), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_set_input(&session, 0, NULL, sizeof dense_input), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_set_input(NULL, 0, dense_input, sizeof dense_input), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_get_output(&session, 0, answer, sizeof answer), TFLM_WRONG_SIZE);
  EXPECT_STATUS(tflm_get_output(&session, 0, answer, 0), TFLM_WRONG_SIZE);
  EXPECT_STATUS(tflm_get_output(&session, 1, answer, sizeof dense_expected), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_get_output(&session, 0, NULL, sizeof dense_expected), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_get_output(NULL, 0, answer, sizeof dense_expected), TFLM_INVALID_ARGUMENT);
  for (size_t i = 0; i < sizeof answer; ++i) EXPECT(answer[i] == 0);
  EXPECT_STATUS(tflm_get_output(&session, 0, answer, sizeof dense_expected), TFLM_OK);
  EXPECT(memcmp(answer, dense_expected, sizeof dense_expected) == 0 && answer[sizeof dense_expected] == 0);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  EXPECT_STATUS(tflm_set_input(&session, 0, dense_input, sizeof dense_input), TFLM_NOT_OPEN);
  EXPECT_STATUS(tflm_get_output(&session, 0, answer, sizeof dense_expected), TFLM_NOT_OPEN);
}

static void shared_arena(void) {
  const tflm_model *const model = &bottleneck_model;
  EXPECT(model->inputs[0].bytes + model->outputs[0].bytes > model->arena_size);
  open_in(&session, model, arena);
  float *const input = tflm_input(&session, 0);
  for (int i = 0; i < 1024; ++i) input[i] = 2.0f;
  EXPECT_STATUS(tflm_invoke(&session), TFLM_OK);
  const float *const output = tflm_output(&session, 0);
  for (int i = 0; i < 1024; ++i) EXPECT(output[i] == 2048.0f);
  EXPECT((const uint8_t *)(output + 1024) <= arena + model->arena_size);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static void closed(void) {
  open_dense();
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  EXPECT_STATUS(tflm_close(&session), TFLM_NOT_OPEN);
  EXPECT_STATUS(tflm_invoke(&session), TFLM_NOT_OPEN);
  EXPECT(tflm_input(&session, 0) == NULL && tflm_output(&session, 0) == NULL);
  open_dense();
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static void failing_invoke(void) {
  open_in(&session, &outside_model, arena);
  int32_t *const index = tflm_input(&session, 0);
  *index = 1000;
  EXPECT_STATUS(tflm_invoke(&session), TFLM_BACKEND_FAILED);
  *index = 3;
  EXPECT_STATUS(tflm_invoke(&session), TFLM_OK);
  EXPECT(*(const int8_t *)tflm_output(&session, 0) == 3);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static void lose_helper(int by_signal) {
  const int before = open_descriptors();
  open_dense();
  run_dense(&session);
  EXPECT(kill(helper(&session), by_signal) == 0);
  EXPECT_STATUS(tflm_invoke(&session), TFLM_BACKEND_DIED);
  EXPECT_STATUS(tflm_invoke(&session), TFLM_BACKEND_DIED);
  EXPECT(tflm_input(&session, 0) != NULL);
  expect_no_child();
  EXPECT_STATUS(tflm_reset(&session), TFLM_BACKEND_DIED);
  EXPECT_STATUS(tflm_close(&session), TFLM_NOT_OPEN);
  EXPECT(open_descriptors() == before);
  open_dense();
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static void killed(void) { lose_helper(SIGKILL); }

static void hung(void) { lose_helper(SIGSTOP); }

static void two_sessions(void) {
  static tflm_session second;
  open_dense();
  open_in(&second, &dense_model, other_arena);
  run_dense(&second);
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  run_dense(&second);
  EXPECT_STATUS(tflm_close(&second), TFLM_OK);
  expect_no_child();
}

/* Add ones; the sum was `before`. */
static void count(tflm_session *of, float before) {
  float *const input = tflm_input(of, 0);
  for (int i = 0; i < 4; ++i) input[i] = 1.0f;
  EXPECT_STATUS(tflm_invoke(of), TFLM_OK);
  const float *const sum = tflm_output(of, 0);
  for (int i = 0; i < 4; ++i) EXPECT(sum[i] == before + 1.0f);
}

/* Each session has a state of its own, which begins with what the model says, after a reset too. */
static void state(void) {
  static tflm_session second;
  open_in(&session, &counter_model, arena);
  open_in(&second, &counter_model, other_arena);
  const void *const input = tflm_input(&session, 0), *const output = tflm_output(&session, 0);
  for (int i = 0; i < 3; ++i) count(&session, 2.5f + (float)i);
  for (int round = 0; round < 20; ++round) {
    EXPECT_STATUS(tflm_reset(&session), TFLM_OK);
    EXPECT(tflm_input(&session, 0) == input && tflm_output(&session, 0) == output);
    count(&session, 2.5f);
    count(&session, 3.5f);
    count(&second, 2.5f + (float)round);
  }
  EXPECT_STATUS(tflm_reset(&second), TFLM_OK);
  EXPECT_STATUS(tflm_reset(&second), TFLM_OK);
  count(&second, 2.5f);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  EXPECT_STATUS(tflm_reset(&session), TFLM_NOT_OPEN);
  EXPECT_STATUS(tflm_reset(NULL), TFLM_INVALID_ARGUMENT);
  count(&second, 3.5f);
  EXPECT_STATUS(tflm_close(&second), TFLM_OK);
  open_in(&session, &counter_model, arena);
  count(&session, 2.5f);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  open_dense();
  run_dense(&session);
  EXPECT_STATUS(tflm_reset(&session), TFLM_OK);
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  expect_no_child();
}

static void expect_not_open(tflm_session *of) {
  EXPECT(tflm_input(of, 0) == NULL && tflm_output(of, 0) == NULL);
  EXPECT_STATUS(tflm_invoke(of), TFLM_NOT_OPEN);
  EXPECT_STATUS(tflm_reset(of), TFLM_NOT_OPEN);
  EXPECT_STATUS(tflm_close(of), TFLM_NOT_OPEN);
}

static void copied(void) {
  open_dense();
  tflm_session copy = session;
  expect_not_open(&copy);
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  expect_not_open(&copy);
  expect_no_child();
}

/* The second session has the arena; the first one is noticed, and leaves nothing. */
static void same_arena(void) {
  static tflm_session second;
  const int before = open_descriptors();
  open_dense();
  EXPECT_STATUS(tflm_open(&second, &counter_model, arena, sizeof arena, 0), TFLM_OK);
  expect_not_open(&session);
  expect_not_open(&session);
  count(&second, 2.5f);
  EXPECT_STATUS(tflm_close(&second), TFLM_OK);
  EXPECT(open_descriptors() == before);
  open_dense();
  EXPECT_STATUS(tflm_open(&second, &counter_model, arena, 64, 0), TFLM_ARENA_TOO_SMALL);
  expect_not_open(&session);
  expect_no_child();
}

static void ignore(int number) { (void)number; }

/* A timer that interrupts system calls must change nothing. */
static void many_invokes(void) {
  const int before = open_descriptors();
  open_dense();
  struct sigaction action = {.sa_handler = ignore};
  EXPECT(sigaction(SIGALRM, &action, NULL) == 0);
  const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
  const int during = open_descriptors();
  EXPECT(setitimer(ITIMER_REAL, &often, NULL) == 0);
  for (int i = 0; i < 1000; ++i) run_dense(&session);
  EXPECT(setitimer(ITIMER_REAL, &never, NULL) == 0);
  EXPECT(open_descriptors() == during);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  EXPECT(open_descriptors() == before);
}

/* Pages of memory that a process holds. */
static long resident_pages(pid_t process) {
  char path[64];
  long all = 0, resident = 0;
  (void)snprintf(path, sizeof path, "/proc/%ld/statm", (long)process);
  FILE *const file = fopen(path, "r");
  EXPECT(file != NULL && fscanf(file, "%ld %ld", &all, &resident) == 2);
  (void)fclose(file);
  return resident;
}

/* What is lost once an invoke, be it 16 bytes, would be 350 pages after so many; what a process takes once is not. */
static void hundred_thousand_invokes(void) {
  open_dense();
  for (int i = 0; i < 10000; ++i) run_dense(&session);
  const pid_t both[] = {getpid(), helper(&session)};
  const long before[] = {resident_pages(both[0]), resident_pages(both[1])};
  const int descriptors = open_descriptors();
  for (int i = 0; i < 90000; ++i) run_dense(&session);
  for (int i = 0; i < 2; ++i) EXPECT(resident_pages(both[i]) - before[i] < 256);
  EXPECT(open_descriptors() == descriptors);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  expect_no_child();
}

static void interrupt_key(void) {
  open_dense();
  EXPECT(kill(helper(&session), SIGINT) == 0);
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static void ignored_children(void) {
  EXPECT(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
  answers();
}

static void closed_stdio(void) {
  memset(arena, 0xA5, sizeof arena);
  const int out = dup(STDOUT_FILENO);
  (void)close(STDIN_FILENO);
  (void)close(STDOUT_FILENO);
  (void)close(STDERR_FILENO);
  const tflm_status opened = tflm_open(&session, &dense_model, arena, sizeof arena, 0);
  const tflm_status small = tflm_open(&(tflm_session){0}, &dense_model, other_arena, 600, 0);
  (void)dup2(out, STDOUT_FILENO);
  EXPECT_STATUS(opened, TFLM_OK);
  EXPECT_STATUS(small, TFLM_ARENA_TOO_SMALL);
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

int main(int argc, char **argv) {
  static const scenario scenarios[] = {
      SCENARIO(answers),
      SCENARIO(several_tensors),
      SCENARIO(wrong_sizes),
      SCENARIO(shared_arena),
      SCENARIO(closed),
      SCENARIO(failing_invoke),
      SCENARIO(killed),
      SCENARIO(hung),
      SCENARIO(two_sessions),
      SCENARIO(state),
      SCENARIO(copied),
      SCENARIO(same_arena),
      SCENARIO(many_invokes),
      SCENARIO(interrupt_key),
      SCENARIO(ignored_children),
      SCENARIO(closed_stdio),
      SCENARIO(hundred_thousand_invokes),
  };
  return run_named(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
