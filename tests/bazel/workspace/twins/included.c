/* SPDX-License-Identifier: Apache-2.0 */
#include "twins/m/model.h"
#include "twins/n/model.h"
