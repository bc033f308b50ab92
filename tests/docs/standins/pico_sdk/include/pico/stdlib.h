/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

bool stdio_init_all(void);
