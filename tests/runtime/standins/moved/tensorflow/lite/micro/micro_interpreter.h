/* SPDX-License-Identifier: Apache-2.0 */
/* A stand-in, see ../../../../README.md. */
#include "namespaces.h"
#include_next "tensorflow/lite/micro/micro_interpreter.h"
