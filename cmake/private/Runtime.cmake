# SPDX-License-Identifier: Apache-2.0
# Add the runtime that generated code calls.

# Make the target tflm_build::runtime, once in a build.
function(_tflm_build_add_runtime)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "C" IN_LIST languages)
    _tflm_build_error("find_package" "the generated code is C; got the languages ${languages}; add C to project()")
  endif()
  if(NOT TARGET tflm_build_runtime)
    _tflm_build_root(root)
    add_subdirectory("${root}/runtime" "${CMAKE_BINARY_DIR}/tflm_build_runtime" EXCLUDE_FROM_ALL)
  endif()
endfunction()
