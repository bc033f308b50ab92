/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios in which tflm_open() has to refuse; `refusals NAME` runs one and exits with 0 if it went as it should. */
#define _POSIX_C_SOURCE 200809L

#include "scenario.h"

static void bad_arguments(void) {
  EXPECT_STATUS(tflm_open(NULL, &dense_model, arena, sizeof arena, 0), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_open(&session, NULL, arena, sizeof arena, 0), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_open(&session, &dense_model, NULL, sizeof arena, 0), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_open(&session, &dense_model, arena + 8, sizeof arena - 8, 0), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_open(&session, &dense_model, arena, sizeof arena, 2), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_invoke(NULL), TFLM_INVALID_ARGUMENT);
  EXPECT_STATUS(tflm_close(NULL), TFLM_INVALID_ARGUMENT);
  EXPECT(tflm_input(NULL, 0) == NULL && tflm_output(NULL, 0) == NULL);
  EXPECT_STATUS(tflm_invoke(&session), TFLM_NOT_OPEN); /* after the failed opens */
  EXPECT_STATUS(tflm_close(&session), TFLM_NOT_OPEN);
}

static void expect_invalid(tflm_model model) {
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, TFLM_CHECK_DATA), TFLM_INVALID_MODEL);
}

static void bad_descriptor(void) {
  tflm_model model = dense_model;
  model.magic ^= 1u;
  expect_invalid(model);
  model = dense_model;
  model.version += 1;
  expect_invalid(model);
  model = dense_model;
  model.data = NULL;
  expect_invalid(model);
  model = dense_model;
  model.data += 1;
  expect_invalid(model);
  model = dense_model;
  model.data_size = 0;
  expect_invalid(model);
  model = dense_model;
  model.inputs = NULL;
  expect_invalid(model);
  model = dense_model;
  tflm_tensor empty = model.outputs[0];
  empty.bytes = 0;
  model.outputs = &empty;
  expect_invalid(model);
}

static void corrupt_data(void) {
  static TFLM_ALIGNED unsigned char data[8192];
  EXPECT(dense_model.data_size <= sizeof data);
  memcpy(data, dense_model.data, dense_model.data_size);
  tflm_model model = dense_model;
  model.data = data;
  for (size_t i = 0; i < model.data_size; ++i) {
    data[i] ^= 0x10u;
    EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, TFLM_CHECK_DATA), TFLM_CORRUPT_DATA);
    data[i] ^= 0x10u;
  }
  memset(data, 0xFF, sizeof data); /* unchecked it comes as far as the interpreter */
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  EXPECT_STATUS(tflm_invoke(&session), TFLM_NOT_OPEN);
}

static void expect_refused(tflm_tensor tensor, size_t count) {
  const int before = open_descriptors();
  static tflm_tensor inputs[1025];
  EXPECT(count <= sizeof inputs / sizeof *inputs);
  for (size_t i = 0; i < count; ++i) inputs[i] = tensor;
  tflm_model model = dense_model;
  model.inputs = inputs;
  model.input_count = count;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  expect_no_child();
  EXPECT(open_descriptors() == before);
}

static void other_model(void) {
  tflm_tensor tensor = dense_model.inputs[0];
  expect_refused(tensor, 0);
  expect_refused(tensor, 2);
  expect_refused(tensor, 1025);
  tensor.bytes += 1;
  expect_refused(tensor, 1);
  tensor = dense_model.inputs[0];
  tensor.type = TFLM_UINT8;
  expect_refused(tensor, 1);
  tensor.type = (tflm_type)77;
  expect_refused(tensor, 1);
}

static void too_large(void) {
  tflm_model model = dense_model;
  model.data_size = ((size_t)256 << 20) + 1;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  EXPECT_STATUS(tflm_open(&session, &dense_model, arena, ((size_t)1 << 30) + 1, 0), TFLM_BACKEND_FAILED);
  tflm_tensor tensor = dense_model.inputs[0];
  tensor.bytes = (size_t)-1; /* a sum that would overflow */
  const tflm_tensor inputs[] = {dense_model.inputs[0], tensor};
  model = dense_model;
  model.inputs = inputs;
  model.input_count = 2;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_ARENA_TOO_SMALL);
}

/* Each of the ways to be too small: for the tensors, for TFLM, and so that TFLM dies. */
static void small_arena(void) {
  static const size_t sizes[] = {0, 1, 15, 16, 100, 200, 300, 456, 480, 520, 600};
  const int before = open_descriptors();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
    EXPECT_STATUS(tflm_open(&session, &dense_model, arena, sizes[i], 0), TFLM_ARENA_TOO_SMALL);
    EXPECT_STATUS(tflm_invoke(&session), TFLM_NOT_OPEN);
  }
  expect_no_child();
  EXPECT(open_descriptors() == before);
}

/* The interpreter, not the descriptor, is asked whether the arena is too small. */
static void small_arena_modest_descriptor(void) {
  tflm_model model = dense_model;
  model.arena_size = 0;
  EXPECT_STATUS(tflm_open(&session, &model, arena, 600, 0), TFLM_ARENA_TOO_SMALL);
}

static void unavailable(void) {
  const int before = open_descriptors();
  EXPECT_STATUS(tflm_open(&session, &dense_model, arena, sizeof arena, 0), TFLM_BACKEND_UNAVAILABLE);
  EXPECT_STATUS(tflm_close(&session), TFLM_NOT_OPEN);
  expect_no_child();
  EXPECT(open_descriptors() == before);
}

static void texts(void) {
  for (int i = TFLM_OK; i <= TFLM_WRONG_SIZE + 1; ++i) puts(tflm_status_text((tflm_status)i));
}

int main(int argc, char **argv) {
  static const scenario scenarios[] = {
      SCENARIO(bad_arguments),
      SCENARIO(bad_descriptor),
      SCENARIO(corrupt_data),
      SCENARIO(other_model),
      SCENARIO(too_large),
      SCENARIO(small_arena),
      SCENARIO(small_arena_modest_descriptor),
      SCENARIO(unavailable),
      SCENARIO(texts),
  };
  return run_named(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
