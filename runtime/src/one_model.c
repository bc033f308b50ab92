/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand for a model's symbol. Every program that a model's library is linked into gets this object, so that two models
 * of one symbol are an error of the linker that names both libraries; without it, the linker takes the first in
 * silence.
 *
 * Compiled once per library, with TFLM_ONE_MODEL defined as what two such models both define, and, where the build asks
 * the linker for the object by name, TFLM_LIBRARY as what no other library defines.
 */
extern const char TFLM_ONE_MODEL;
const char TFLM_ONE_MODEL = 0;

#if defined(TFLM_LIBRARY)
extern const char TFLM_LIBRARY;
const char TFLM_LIBRARY = 0;
#endif
