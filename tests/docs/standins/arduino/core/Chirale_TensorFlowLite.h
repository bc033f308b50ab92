/* SPDX-License-Identifier: Apache-2.0 */
/* By this header Arduino's tools find the library that has TFLM. */
