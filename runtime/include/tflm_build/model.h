/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TFLM_BUILD_MODEL_H_
#define TFLM_BUILD_MODEL_H_

#include <stddef.h>
#include <stdint.h>

/**
 * Run a model that tflm-build has compiled. C99, no heap::
 *
 *     static TFLM_ALIGNED uint8_t arena[HELLO_WORLD_ARENA_SIZE];
 *     tflm_session session;
 *
 *     tflm_status status = tflm_open(&session, &hello_world_model, arena, sizeof arena, TFLM_CHECK_DATA);
 *     if (status != TFLM_OK) { puts(tflm_status_text(status)); ... }
 *
 *     const int8_t angle = hello_world_quantize_input_0(1.5f);
 *     int8_t sine;
 *     status = tflm_set_input(&session, 0, &angle, sizeof angle);
 *     if (status == TFLM_OK) status = tflm_invoke(&session);
 *     if (status == TFLM_OK) status = tflm_get_output(&session, 0, &sine, sizeof sine);
 *     ...
 *     tflm_close(&session);
 *
 * The same calls serve every backend; which one answers is decided by what is linked.
 *
 * What may be shared: descriptors, by everyone. Sessions are independent of each other, those of one model too: threads
 * and tasks may open, run, reset and close theirs at the same moment, each session in one of them at a time. The native
 * backend registers a model's ops before main(), as C++ constructors do; where a system runs none, the first
 * tflm_open() of a model does it, and has to return before another thread opens the same model.
 */

#ifdef __cplusplus
extern "C" {
#endif

/** Alignment, in bytes, of the arena and of the model's data. */
#define TFLM_ALIGNMENT 16

/**
 * Bytes of an arena that the runtime may take for the interpreter itself and for the mark of the session that has the
 * arena; `<NAME>_ARENA_SIZE` has them. TensorFlow Lite for Microcontrollers takes 416 with it on a 64-bit host.
 */
#define TFLM_INTERPRETER_SIZE 512

/**
 * Put before the type of an arena: `static TFLM_ALIGNED uint8_t arena[...]`. For a C++ compiler that is neither MSVC
 * nor GNU-like it must stand first, `TFLM_ALIGNED static ...`, as the C++ grammar asks of alignas.
 */
#if defined(_MSC_VER)
#define TFLM_ALIGNED __declspec(align(16))
#elif defined(__GNUC__)
#define TFLM_ALIGNED __attribute__((aligned(TFLM_ALIGNMENT)))
#elif defined(__cplusplus)
#define TFLM_ALIGNED alignas(TFLM_ALIGNMENT)
#else
#define TFLM_ALIGNED _Alignas(TFLM_ALIGNMENT)
#endif

/** What every function of this header reports. */
typedef enum tflm_status {
  /** done */
  TFLM_OK = 0,
  /** a null pointer, an unknown flag or index, or an arena that is not aligned */
  TFLM_INVALID_ARGUMENT,
  /** the descriptor is of another version, or damaged */
  TFLM_INVALID_MODEL,
  /** the model's bytes do not have the CRC-32 that the descriptor states */
  TFLM_CORRUPT_DATA,
  /** the model does not fit into this arena; the log says how many bytes there were */
  TFLM_ARENA_TOO_SMALL,
  /** the session was never opened, is closed, is a copy, or another one was opened in its arena */
  TFLM_NOT_OPEN,
  /** the interpreter could not be started */
  TFLM_BACKEND_UNAVAILABLE,
  /** the interpreter refused the model or the call */
  TFLM_BACKEND_FAILED,
  /** the interpreter's process ended, or gave no answer in time */
  TFLM_BACKEND_DIED,
  /** the size is not that of the input or output */
  TFLM_WRONG_SIZE
} tflm_status;

/** Element types of a tensor, numbered as in the TensorFlow Lite schema. */
typedef enum tflm_type {
  /** IEEE 754, 4 bytes */
  TFLM_FLOAT32 = 0,
  /** 4 bytes */
  TFLM_INT32 = 2,
  /** 1 byte, as older quantized models have it */
  TFLM_UINT8 = 3,
  /** 8 bytes */
  TFLM_INT64 = 4,
  /** 1 byte, 0 or 1 */
  TFLM_BOOL = 6,
  /** 2 bytes: activations of int16x8 */
  TFLM_INT16 = 7,
  /** 1 byte */
  TFLM_INT8 = 9
} tflm_type;

/** An input or output tensor. `real = scale * (element - zero_point)`; scale 0: not quantized. */
typedef struct tflm_tensor {
  /** as the model names it */
  const char *name;
  /** `rank` dimensions, batch first */
  const int32_t *shape;
  /** number of dimensions */
  size_t rank;
  /** of each element */
  tflm_type type;
  /** of all elements */
  size_t bytes;
  /** real numbers to a step of the element, or 0 */
  float scale;
  /** the element that stands for 0.0 */
  int32_t zero_point;
} tflm_tensor;

/** First field of every descriptor: "TFLB" as a little-endian number. */
#define TFLM_MODEL_MAGIC 0x424C4654u
/** Raised when the layout of tflm_model or tflm_tensor changes. */
#define TFLM_MODEL_VERSION 2u

/** Describes a model; tflm-build writes one per model, in flash, as `<name>_model`. */
typedef struct tflm_model {
  /** TFLM_MODEL_MAGIC */
  uint32_t magic;
  /** TFLM_MODEL_VERSION */
  uint32_t version;
  /** as the build names it */
  const char *name;
  /** the TensorFlow Lite flatbuffer, aligned to TFLM_ALIGNMENT */
  const unsigned char *data;
  /** bytes */
  size_t data_size;
  /** CRC-32 (IEEE 802.3) of the data */
  uint32_t data_crc32;
  /** bytes that an arena needs on the target of the build, with the kernels that it was told of */
  size_t arena_size;
  /** `input_count` of them */
  const tflm_tensor *inputs;
  /** number of inputs */
  size_t input_count;
  /** `output_count` of them */
  const tflm_tensor *outputs;
  /** number of outputs */
  size_t output_count;
  /** bytes that it keeps from one tflm_invoke() to the next, in the arena; 0: it has no state */
  size_t state_size;
  /** resource variables among them, for which the native backend keeps a table */
  size_t variable_count;
  /** returns a `tflite::MicroOpResolver *` for the native backend, else NULL */
  const void *(*op_resolver)(void);
} tflm_model;

/**
 * A model that runs in a caller's memory. The fields belong to the runtime. It stays where it was opened: a copy is not
 * open. It has its arena to itself: opening another session in the same arena ends it, and its calls then report
 * TFLM_NOT_OPEN.
 */
typedef struct tflm_session {
  const struct tflm_session *self; /* only while it is open; a copy's points elsewhere */
  const tflm_model *model;
  unsigned char *arena;
  size_t arena_size;
  void *pointer;      /* of the backend */
  intptr_t handle[2]; /* of the backend */
} tflm_session;

/** Flag of tflm_check() and tflm_open(): compare the model's bytes with their CRC-32. */
#define TFLM_CHECK_DATA 1u

/**
 * Check a model's descriptor and where its data lie, without an interpreter: for firmware that brings its own.
 *
 * @param model  The descriptor, `&<name>_model`.
 * @param flags  0 or TFLM_CHECK_DATA.
 * @return TFLM_OK, TFLM_INVALID_ARGUMENT, TFLM_INVALID_MODEL or TFLM_CORRUPT_DATA.
 */
tflm_status tflm_check(const tflm_model *model, unsigned flags);

/**
 * Start a model in the caller's memory.
 *
 * @param session     Filled in; any earlier content is overwritten.
 * @param model       The descriptor, `&<name>_model`; must outlive the session.
 * @param arena       Memory of the caller, aligned to TFLM_ALIGNMENT; must outlive the session.
 * @param arena_size  In bytes; `<NAME>_ARENA_SIZE` is enough on the target, and with the kernels, of the build.
 * @param flags       0 or TFLM_CHECK_DATA.
 * @return TFLM_OK, or why the session is not open; a session that is not open needs no tflm_close().
 */
tflm_status tflm_open(tflm_session *session, const tflm_model *model, void *arena, size_t arena_size, unsigned flags);

/**
 * Return the bytes that an arena of the session's model must have here, a multiple of 16: with as many tflm_open()
 * succeeds, with fewer it does not. It is what the option ARENA takes. The host backend returns the build's number, for
 * it sees no TFLM. 0: no open session.
 */
size_t tflm_arena_used(const tflm_session *session);

/** Return where input `index` is to be written before tflm_invoke(), or NULL: no open session or no such input. */
void *tflm_input(const tflm_session *session, size_t index);

/** Return where output `index` lies after tflm_invoke(), or NULL: no open session or no such output. */
const void *tflm_output(const tflm_session *session, size_t index);

/**
 * Copy an input's elements to where tflm_invoke() reads them, if the size is right.
 *
 * @param session  An open one.
 * @param index    Of the input.
 * @param data     The elements, of the input's type; quantize them first.
 * @param bytes    Size of the data: `<NAME>_INPUT_<index>_BYTES`.
 * @return TFLM_OK, TFLM_NOT_OPEN, TFLM_INVALID_ARGUMENT (a null pointer, or no such input) or TFLM_WRONG_SIZE.
 */
tflm_status tflm_set_input(tflm_session *session, size_t index, const void *data, size_t bytes);

/**
 * Copy an output's elements out after tflm_invoke(), if the size is right.
 *
 * @param session  An open one.
 * @param index    Of the output.
 * @param data     Filled in with elements of the output's type.
 * @param bytes    Size of the data: `<NAME>_OUTPUT_<index>_BYTES`.
 * @return TFLM_OK, TFLM_NOT_OPEN, TFLM_INVALID_ARGUMENT (a null pointer, or no such output) or TFLM_WRONG_SIZE.
 */
tflm_status tflm_get_output(const tflm_session *session, size_t index, void *data, size_t bytes);

/**
 * Run the model once. Inputs must be written before every call: their memory may be used again. What the model keeps in
 * its state, the next call finds.
 */
tflm_status tflm_invoke(tflm_session *session);

/**
 * Take the session back to what it was when tflm_open() returned: the model's state is the first one, and inputs and
 * outputs hold nothing. They stay where they lie. It takes as long as tflm_open() without TFLM_CHECK_DATA.
 *
 * @return TFLM_OK, TFLM_INVALID_ARGUMENT or TFLM_NOT_OPEN; or why the model could not be started again: then the
 * session is closed.
 */
tflm_status tflm_reset(tflm_session *session);

/**
 * End the session and free what the backend holds; the arena is the caller's again.
 *
 * @return TFLM_OK, TFLM_INVALID_ARGUMENT, or TFLM_NOT_OPEN, also for a session whose arena another one was opened in:
 * what the backend holds is freed then too.
 */
tflm_status tflm_close(tflm_session *session);

/** Return one English sentence, without a full stop, for a status. */
const char *tflm_status_text(tflm_status status);

#ifdef __cplusplus
}
#endif

#endif /* TFLM_BUILD_MODEL_H_ */
