/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Run a model that tflm-build has compiled. C99, no heap.
 *
 *     static TFLM_ALIGNED uint8_t arena[HELLO_WORLD_ARENA_SIZE];
 *     tflm_session session;
 *
 *     tflm_status status = tflm_open(&session, &hello_world_model, arena, sizeof arena, TFLM_CHECK_DATA);
 *     if (status != TFLM_OK) { puts(tflm_status_text(status)); ... }
 *
 *     int8_t *input = tflm_input(&session, 0);
 *     input[0] = hello_world_quantize_input_0(1.5f);
 *     status = tflm_invoke(&session);
 *     const int8_t *output = tflm_output(&session, 0);
 *     ...
 *     tflm_close(&session);
 *
 * The same calls serve every backend; which one answers is decided by what is linked.
 */
#ifndef TFLM_BUILD_MODEL_H_
#define TFLM_BUILD_MODEL_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Alignment, in bytes, of the arena and of the model's data. */
#define TFLM_ALIGNMENT 16

/**
 * Bytes of an arena that a backend may take for the interpreter itself; `<NAME>_ARENA_SIZE` has them. The one of
 * TensorFlow Lite for Microcontrollers takes 392 on a 64-bit host.
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
  TFLM_OK = 0,
  TFLM_INVALID_ARGUMENT,    /**< a null pointer, an unknown flag, or an arena that is not aligned */
  TFLM_INVALID_MODEL,       /**< the descriptor is of another version, or damaged */
  TFLM_CORRUPT_DATA,        /**< the model's bytes do not have the CRC-32 that the descriptor states */
  TFLM_ARENA_TOO_SMALL,     /**< the interpreter could not allocate the model in this arena */
  TFLM_NOT_OPEN,            /**< the session was never opened, or is closed */
  TFLM_BACKEND_UNAVAILABLE, /**< the interpreter could not be started */
  TFLM_BACKEND_FAILED,      /**< the interpreter refused the model or the call */
  TFLM_BACKEND_DIED         /**< the interpreter's process ended, or gave no answer in time */
} tflm_status;

/** Element types of a tensor, numbered as in the TensorFlow Lite schema. */
typedef enum tflm_type {
  TFLM_FLOAT32 = 0,
  TFLM_INT32 = 2,
  TFLM_UINT8 = 3,
  TFLM_INT64 = 4,
  TFLM_BOOL = 6,
  TFLM_INT16 = 7,
  TFLM_INT8 = 9
} tflm_type;

/** An input or output tensor. `real = scale * (element - zero_point)`; scale 0: not quantized. */
typedef struct tflm_tensor {
  const char *name;
  const int32_t *shape; /**< `rank` dimensions, batch first */
  size_t rank;
  tflm_type type;
  size_t bytes;
  float scale;
  int32_t zero_point;
} tflm_tensor;

/** First field of every descriptor: "TFLB" as a little-endian number. */
#define TFLM_MODEL_MAGIC 0x424C4654u
/** Raised when the layout of tflm_model or tflm_tensor changes. */
#define TFLM_MODEL_VERSION 1u

/** Describes a model; tflm-build writes one per model, in flash, as `<name>_model`. */
typedef struct tflm_model {
  uint32_t magic;   /**< TFLM_MODEL_MAGIC */
  uint32_t version; /**< TFLM_MODEL_VERSION */
  const char *name;
  const unsigned char *data; /**< the TensorFlow Lite flatbuffer, aligned to TFLM_ALIGNMENT */
  size_t data_size;          /**< bytes */
  uint32_t data_crc32;       /**< CRC-32 (IEEE 802.3) of the data */
  size_t arena_size;         /**< bytes that an arena needs on a 64-bit host: no 32-bit target needs more */
  const tflm_tensor *inputs;
  size_t input_count;
  const tflm_tensor *outputs;
  size_t output_count;
  const void *(*op_resolver)(void); /**< returns a `tflite::MicroOpResolver *` for the native backend, else NULL */
} tflm_model;

/** A model that runs in a caller's memory. The fields belong to the runtime. */
typedef struct tflm_session {
  uint32_t magic;
  const tflm_model *model;
  unsigned char *arena;
  size_t arena_size;
  void *pointer;      /**< of the backend */
  intptr_t handle[2]; /**< of the backend */
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
 * @param arena       Working memory, aligned to TFLM_ALIGNMENT; must outlive the session.
 * @param arena_size  In bytes; `<NAME>_ARENA_SIZE` is enough.
 * @param flags       0 or TFLM_CHECK_DATA.
 * @return TFLM_OK, or why the session is not open; a session that is not open needs no tflm_close().
 */
tflm_status tflm_open(tflm_session *session, const tflm_model *model, void *arena, size_t arena_size, unsigned flags);

/** Return where input `index` is to be written before tflm_invoke(), or NULL: no open session or no such input. */
void *tflm_input(const tflm_session *session, size_t index);

/** Return where output `index` lies after tflm_invoke(), or NULL: no open session or no such output. */
const void *tflm_output(const tflm_session *session, size_t index);

/** Run the model once. Inputs must be written before every call: their memory may be used again. */
tflm_status tflm_invoke(tflm_session *session);

/** End the session and free what the backend holds; the arena is the caller's again. */
tflm_status tflm_close(tflm_session *session);

/** Return one English sentence, without a full stop, for a status. */
const char *tflm_status_text(tflm_status status);

#ifdef __cplusplus
}
#endif

#endif /* TFLM_BUILD_MODEL_H_ */
