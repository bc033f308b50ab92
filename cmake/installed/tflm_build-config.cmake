# SPDX-License-Identifier: Apache-2.0
# Lies in <environment>/share/cmake/tflm_build, where find_package looks in each environment that is on the PATH, and leads
# to the package in the site-packages of that environment.
set(_tflm_build_places lib/python3.*/site-packages lib/python3.*/dist-packages Lib/site-packages)
list(TRANSFORM _tflm_build_places PREPEND "${CMAKE_CURRENT_LIST_DIR}/../../../")
list(TRANSFORM _tflm_build_places APPEND "/tflm_build/cmake/tflm_build-config.cmake")
file(GLOB _tflm_build_found ${_tflm_build_places})
list(SORT _tflm_build_found COMPARE NATURAL ORDER DESCENDING)
list(GET _tflm_build_found 0 _tflm_build_found)
include("${_tflm_build_found}")
unset(_tflm_build_places)
unset(_tflm_build_found)
