# SPDX-License-Identifier: Apache-2.0
# Bound by the machine's memory how many conversions run at once; Ninja alone can.

# Make the job pool tflm_build.
function(_tflm_build_add_job_pool)
  if(NOT DEFINED TFLM_BUILD_JOBS)
    cmake_host_system_information(RESULT megabytes QUERY TOTAL_PHYSICAL_MEMORY)
    math(EXPR jobs "${megabytes} / 1500") # a conversion takes up to 750 MB, and half of the memory is for others
    if(jobs LESS 1)
      set(jobs 1)
    endif()
    set(TFLM_BUILD_JOBS "${jobs}" CACHE STRING "Conversions of models that Ninja runs at once")
  elseif(NOT TFLM_BUILD_JOBS MATCHES "^[1-9][0-9]*$")
    _tflm_build_error("find_package" "TFLM_BUILD_JOBS got '${TFLM_BUILD_JOBS}'; allowed: a whole number from 1")
  endif()
  set_property(GLOBAL APPEND PROPERTY JOB_POOLS "tflm_build=${TFLM_BUILD_JOBS}")
endfunction()
