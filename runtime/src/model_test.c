/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run a model on its golden vectors. Compiled once per model, with TFLM_GOLDEN defined as the name of its tflm_golden.
 *
 * An output must equal what TensorFlow Lite for Microcontrollers answered when the model was built, and when each of
 * its layers was compared with a reference, or, where it was not there, what these references answered; float32 must
 * lie within a tolerance, for compilers may round elsewhere. The arena is filled before the model is opened: on a
 * device it holds what others left there. The vectors of a model with state are a sequence, which is run from its start
 * again after tflm_reset().
 */
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tflm_build/golden.h"

#define MAX_REPORTS 10
#define USED 0x5A /* the arena's bytes before the model is opened: neither a zero nor a zero point */

extern const tflm_golden TFLM_GOLDEN;

typedef struct element {
  bool is_float;
  int64_t integer;
  float real;
} element;

/* What has been found so far. */
typedef struct findings {
  const tflm_model *model;
  const char *when; /* what stands before a failure's place: "", or that it is after the reset */
  size_t failures;
  double *largest; /* per output, the largest difference */
} findings;

static size_t element_size(tflm_type type) {
  switch (type) {
    case TFLM_FLOAT32:
    case TFLM_INT32:
      return 4;
    case TFLM_INT64:
      return 8;
    case TFLM_INT16:
      return 2;
    case TFLM_UINT8:
    case TFLM_BOOL:
    case TFLM_INT8:
      return 1;
    default:
      return 0;
  }
}

/* Copied out: golden data need not be aligned for their type. */
static element element_at(tflm_type type, const unsigned char *data, size_t index) {
  const unsigned char *const from = data + index * element_size(type);
  element result = {.is_float = type == TFLM_FLOAT32};
  int16_t i16;
  int32_t i32;
  switch (type) {
    case TFLM_FLOAT32:
      memcpy(&result.real, from, sizeof result.real);
      break;
    case TFLM_INT32:
      memcpy(&i32, from, sizeof i32);
      result.integer = i32;
      break;
    case TFLM_INT64:
      memcpy(&result.integer, from, sizeof result.integer);
      break;
    case TFLM_INT16:
      memcpy(&i16, from, sizeof i16);
      result.integer = i16;
      break;
    case TFLM_INT8:
      result.integer = (int8_t)*from;
      break;
    case TFLM_UINT8:
    case TFLM_BOOL:
      result.integer = *from;
      break;
    default:
      break;
  }
  return result;
}

/* Two NaNs do not differ; a NaN and a number differ by more than anything may. */
static double difference(element one, element other) {
  if (!one.is_float) { /* subtracted as unsigned: the difference of two int64 need not be an int64 */
    const uint64_t a = (uint64_t)one.integer, b = (uint64_t)other.integer;
    return (double)(one.integer > other.integer ? a - b : b - a);
  }
  const bool one_nan = one.real != one.real, other_nan = other.real != other.real;
  if (one.real == other.real || (one_nan && other_nan)) return 0.0;
  if (one_nan || other_nan) return HUGE_VAL;
  const double distance = (double)one.real - (double)other.real;
  return distance < 0.0 ? -distance : distance;
}

/* Numbers are written by hand, and counts as unsigned long: newlib-nano's printf knows neither %g nor %lld nor %zu. */
static void print_digits(const char *digits, int count) { printf("%.*s", count, digits); }

static void print_integer(int64_t value) {
  char text[20];
  size_t first = sizeof text;
  uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  do {
    text[--first] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  if (value < 0) putchar('-');
  print_digits(text + first, (int)(sizeof text - first));
}

/* As %.9g does, but for the width of the exponent. */
static void print_real(double value) {
  if (value != value) {
    printf("nan");
    return;
  }
  if (value < 0.0) {
    putchar('-');
    value = -value;
  }
  if (value >= HUGE_VAL) {
    printf("inf");
    return;
  }
  int exponent = 0;
  for (; value >= 10.0; ++exponent) value /= 10.0;
  for (; value > 0.0 && value < 1.0; --exponent) value *= 10.0;
  uint32_t rest = (uint32_t)(value * 1e8 + 0.5);
  if (rest >= 1000000000) {
    rest /= 10;
    ++exponent;
  }
  char digits[9];
  for (int i = 8; i >= 0; --i, rest /= 10) digits[i] = (char)('0' + rest % 10);
  int count = 9;
  while (count > 1 && digits[count - 1] == '0') --count;
  const bool scientific = exponent < -4 || exponent > 8;
  const int whole = scientific ? 1 : exponent + 1; /* digits before the point; 0 and less: zeros behind it */
  if (whole <= 0) printf("0.%.*s", -whole, "0000");
  if (whole > count) {
    print_digits(digits, count);
    printf("%.*s", whole - count, "00000000");
  } else if (whole > 0) {
    print_digits(digits, whole);
    if (count > whole) putchar('.');
    print_digits(digits + whole, count - whole);
  } else {
    print_digits(digits, count);
  }
  if (scientific) printf("e%d", exponent);
}

static void print_element(element value) {
  if (value.is_float) {
    print_real((double)value.real);
  } else {
    print_integer(value.integer);
  }
}

/* Compare one element; return the difference. */
static double check(findings *found, size_t vector, size_t output, size_t index, element got, element expected,
                    double allowed) {
  const double distance = difference(got, expected);
  if (distance <= allowed) return distance;
  if (++found->failures > MAX_REPORTS) return distance;
  printf("%s: %svector %lu, output %lu (%s), element %lu: got ", found->model->name, found->when, (unsigned long)vector,
         (unsigned long)output, found->model->outputs[output].name, (unsigned long)index);
  print_element(got);
  printf("; expected ");
  print_element(expected);
  printf(", at most ");
  print_real(allowed);
  printf(" away\n");
  return distance;
}

static void compare_output(findings *found, const tflm_golden *golden, size_t vector, size_t output,
                           const unsigned char *got) {
  const tflm_tensor *const tensor = &found->model->outputs[output];
  const size_t offset = vector * tensor->bytes;
  const unsigned char *const target = (const unsigned char *)golden->outputs[output] + offset;
  for (size_t i = 0; i < tensor->bytes / element_size(tensor->type); ++i) {
    const double distance = check(found, vector, output, i, element_at(tensor->type, got, i),
                                  element_at(tensor->type, target, i), golden->tolerance[output]);
    if (distance > found->largest[output]) found->largest[output] = distance;
  }
}

static tflm_status run_vectors(findings *found, const tflm_golden *golden, tflm_session *session) {
  const tflm_model *const model = found->model;
  for (size_t vector = 0; vector < golden->count; ++vector) {
    for (size_t i = 0; i < model->input_count; ++i) {
      const size_t bytes = model->inputs[i].bytes;
      memcpy(tflm_input(session, i), (const unsigned char *)golden->inputs[i] + vector * bytes, bytes);
    }
    const tflm_status status = tflm_invoke(session);
    if (status != TFLM_OK) return status;
    for (size_t i = 0; i < model->output_count; ++i) {
      compare_output(found, golden, vector, i, (const unsigned char *)tflm_output(session, i));
    }
  }
  return TFLM_OK;
}

static void print_summary(const findings *found, const tflm_golden *golden) {
  for (size_t i = 0; i < found->model->output_count; ++i) {
    printf("%s: ", found->model->name);
    if (found->model->output_count > 1) {
      printf("output %lu (%s): ", (unsigned long)i, found->model->outputs[i].name);
    }
    printf("%lu vectors: ", (unsigned long)golden->count);
    if (found->largest[i] > 0.0) {
      printf("at most ");
      print_real(found->largest[i]);
      printf(" (allowed ");
      print_real(golden->tolerance[i]);
      printf(") from");
    } else {
      printf("equal to");
    }
    printf(" %s%s\n", golden->answered_by, found->model->state_size > 0 ? ", after tflm_reset() too" : "");
  }
}

static int run(const tflm_golden *golden, findings *found, void *arena, size_t arena_size) {
  tflm_session session;
  tflm_status status = tflm_open(&session, found->model, arena, arena_size, TFLM_CHECK_DATA);
  if (status == TFLM_OK) {
    status = run_vectors(found, golden, &session);
    if (status == TFLM_OK && found->model->state_size > 0) {
      found->when = "after tflm_reset(), ";
      status = tflm_reset(&session);
      if (status == TFLM_OK) status = run_vectors(found, golden, &session);
    }
    (void)tflm_close(&session);
  }
  if (status != TFLM_OK) {
    printf("%s: the model does not run: %s\n", found->model->name, tflm_status_text(status));
    return EXIT_FAILURE;
  }
  if (found->failures > MAX_REPORTS) {
    printf("%s: ... %lu more\n", found->model->name, (unsigned long)(found->failures - MAX_REPORTS));
  }
  if (found->failures > 0) {
    printf("%s: %lu comparisons failed over %lu vectors\n", found->model->name, (unsigned long)found->failures,
           (unsigned long)golden->count);
    return EXIT_FAILURE;
  }
  print_summary(found, golden);
  return EXIT_SUCCESS;
}

int main(void) {
  const tflm_golden *const golden = &TFLM_GOLDEN;
  const tflm_model *const model = golden->model;
  findings found = {.model = model, .when = ""};
  unsigned char *const memory = (unsigned char *)malloc(model->arena_size + TFLM_ALIGNMENT);
  double *const largest = (double *)calloc(model->output_count + 1, sizeof *largest);
  int result = EXIT_FAILURE;
  if (golden->count == 0) { /* or the test would pass without having tested anything */
    printf("%s: no golden vectors; generate them with at least one\n", model->name);
  } else if (memory == NULL || largest == NULL) {
    printf("%s: out of memory\n", model->name);
  } else {
    found.largest = largest;
    memset(memory, USED, model->arena_size + TFLM_ALIGNMENT);
    const size_t past = (uintptr_t)memory % TFLM_ALIGNMENT;
    result = run(golden, &found, memory + (TFLM_ALIGNMENT - past) % TFLM_ALIGNMENT, model->arena_size);
  }
  free(largest);
  free(memory);
  return result;
}
