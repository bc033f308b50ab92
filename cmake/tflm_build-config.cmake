# SPDX-License-Identifier: Apache-2.0
# What find_package(tflm_build CONFIG) loads.
include("${CMAKE_CURRENT_LIST_DIR}/TflmBuild.cmake")
