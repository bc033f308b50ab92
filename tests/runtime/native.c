/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of the native backend alone; `native NAME` runs one and exits with 0 if it went as it should. */
#include "scenario.h"

#define MARGIN 256

static const int8_t dense_input[] = {DENSE_INPUT};
static const int8_t dense_expected[] = {DENSE_EXPECTED};

static void run_dense(tflm_session *of) {
  memcpy(tflm_input(of, 0), dense_input, sizeof dense_input);
  EXPECT_STATUS(tflm_invoke(of), TFLM_OK);
  EXPECT(memcmp(tflm_output(of, 0), dense_expected, sizeof dense_expected) == 0);
}

static void run_pair(tflm_session *of, float value) {
  float *const a = tflm_input(of, 0), *const b = tflm_input(of, 1);
  for (int i = 0; i < 5; ++i) {
    a[i] = (float)i;
    b[i] = value;
  }
  EXPECT_STATUS(tflm_invoke(of), TFLM_OK);
  const float *const sum = tflm_output(of, 0), *const product = tflm_output(of, 1);
  for (int i = 0; i < 5; ++i) EXPECT(sum[i] == (float)i + value && product[i] == (float)i * value);
}

/* Models at once: two sessions of one, and one of another, called in turns. */
static void interleaved(void) {
  static TFLM_ALIGNED uint8_t second_arena[8192], third_arena[8192];
  static tflm_session second, third;
  open_in(&session, &dense_model, arena);
  open_in(&second, &pair_model, second_arena);
  open_in(&third, &dense_model, third_arena);
  for (int i = 0; i < 100; ++i) {
    run_dense(&third);
    run_pair(&second, (float)i);
    run_dense(&session);
  }
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  run_dense(&third);
  run_pair(&second, 0.5f);
  EXPECT_STATUS(tflm_close(&third), TFLM_OK);
  EXPECT_STATUS(tflm_close(&second), TFLM_OK);
}

/* One arena for many models, in turn. */
static void in_turn(void) {
  for (int i = 0; i < 100; ++i) {
    open_in(&session, &dense_model, arena);
    run_dense(&session);
    EXPECT_STATUS(tflm_close(&session), TFLM_OK);
    open_in(&session, &pair_model, arena);
    run_pair(&session, (float)i);
    EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  }
}

static void expect_untouched(const uint8_t *bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) EXPECT(bytes[i] == 0xC3);
}

/* Tensors lie in the arena, each to itself where the model needs that, and nothing is written around it. */
static void inside(void) {
  uint8_t *const mine = arena + MARGIN;
  const size_t size = dense_model.arena_size;
  memset(arena, 0xC3, sizeof arena);
  open_in(&session, &dense_model, mine);
  run_dense(&session);
  const uint8_t *const input = tflm_input(&session, 0), *const output = tflm_output(&session, 0);
  EXPECT(input >= mine && input + sizeof dense_input <= mine + size);
  EXPECT(output >= mine && output + sizeof dense_expected <= mine + size);
  EXPECT((uintptr_t)input % TFLM_ALIGNMENT == 0 && (uintptr_t)output % TFLM_ALIGNMENT == 0);
  EXPECT(tflm_input(&session, 0) == input && tflm_output(&session, 0) == output);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  expect_untouched(arena, MARGIN);
  expect_untouched(mine + size, sizeof arena - MARGIN - size);
}

/* In as much as the model needs it opens, in less it does not, and nothing is written behind the arena. */
static void too_small(void) {
  const tflm_model *const models[] = {&dense_model,   &pair_model, &bottleneck_model,
                                      &outside_model, &wide_model, &counter_model};
  for (size_t i = 0; i < sizeof models / sizeof *models; ++i) {
    open_in(&session, models[i], arena);
    const size_t used = tflm_arena_used(&session);
    EXPECT(used > TFLM_ALIGNMENT && used <= models[i]->arena_size && used % TFLM_ALIGNMENT == 0);
    EXPECT_STATUS(tflm_close(&session), TFLM_OK);
    EXPECT(tflm_arena_used(&session) == 0);
    for (size_t size = 0; size < used; size += 8) {
      memset(arena, 0xC3, sizeof arena);
      EXPECT_STATUS(tflm_open(&session, models[i], arena, size, 0), TFLM_ARENA_TOO_SMALL);
      expect_untouched(arena + size, sizeof arena - size);
    }
    memset(arena, 0xC3, sizeof arena);
    EXPECT_STATUS(tflm_open(&session, models[i], arena, used, 0), TFLM_OK);
    EXPECT(tflm_arena_used(&session) == used);
    EXPECT_STATUS(tflm_reset(&session), TFLM_OK);
    EXPECT(tflm_arena_used(&session) == used);
    EXPECT_STATUS(tflm_close(&session), TFLM_OK);
    expect_untouched(arena + used, sizeof arena - used);
  }
}

/* In tiny_ops.cc. */
extern const void *add_op_resolver(void);

static void failing_invoke(void) {
  open_in(&session, &wide_model, arena);
  EXPECT_STATUS(tflm_invoke(&session), TFLM_BACKEND_FAILED);
  EXPECT_STATUS(tflm_invoke(&session), TFLM_BACKEND_FAILED);
  EXPECT(tflm_input(&session, 1) != NULL);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
  open_in(&session, &dense_model, arena);
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static const void *no_resolver(void) { return NULL; }

static void no_ops(void) {
  tflm_model model = dense_model;
  model.op_resolver = NULL;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_UNAVAILABLE);
  model.op_resolver = no_resolver;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
}

/* The ops of another model: TFLM refuses in the middle of setting this one up. */
static void other_ops(void) {
  tflm_model model = pair_model;
  model.op_resolver = add_op_resolver;
  for (int i = 0; i < 3; ++i) {
    memset(arena, 0xA5, sizeof arena);
    EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  }
  open_in(&session, &dense_model, arena);
  run_dense(&session);
  EXPECT_STATUS(tflm_close(&session), TFLM_OK);
}

static void not_a_model(void) {
  static TFLM_ALIGNED unsigned char data[8192];
  EXPECT(dense_model.data_size <= sizeof data);
  memcpy(data, dense_model.data, dense_model.data_size);
  tflm_model model = dense_model;
  model.data = data;
  model.data_size = 7;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  model.data_size = dense_model.data_size;
  data[7] = '4';
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
}

static void other_outputs(void) {
  tflm_model model = dense_model;
  tflm_tensor output = dense_model.outputs[0];
  model.outputs = &output;
  output.bytes += 1;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  output = dense_model.outputs[0];
  output.type = TFLM_UINT8;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  output.type = (tflm_type)77;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
  model.output_count = 0;
  EXPECT_STATUS(tflm_open(&session, &model, arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
}

/* TFLM was compiled with another TF_LITE_STATIC_MEMORY than the backend. */
static void mixed(void) {
  const tflm_model *const models[] = {&dense_model, &pair_model, &bottleneck_model, &outside_model};
  for (size_t i = 0; i < sizeof models / sizeof *models; ++i) {
    memset(arena, 0xA5, sizeof arena);
    EXPECT_STATUS(tflm_open(&session, models[i], arena, sizeof arena, 0), TFLM_BACKEND_FAILED);
    EXPECT_STATUS(tflm_invoke(&session), TFLM_NOT_OPEN);
  }
}

int main(int argc, char **argv) {
  static const scenario scenarios[] = {
      SCENARIO(interleaved), SCENARIO(in_turn),     SCENARIO(inside),        SCENARIO(too_small),      SCENARIO(no_ops),
      SCENARIO(other_ops),   SCENARIO(not_a_model), SCENARIO(other_outputs), SCENARIO(failing_invoke), SCENARIO(mixed),
  };
  return run_named(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios);
}
