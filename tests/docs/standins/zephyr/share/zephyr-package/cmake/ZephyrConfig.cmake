# SPDX-License-Identifier: Apache-2.0
# A stand-in for Zephyr's package: the targets `app` and `zephyr_interface`, what prj.conf says, and a program of both.
file(REAL_PATH "${CMAKE_CURRENT_LIST_DIR}" here)
include("${here}/../../../../vendor_tflm.cmake")
project(Zephyr-Kernel LANGUAGES C CXX ASM)

file(STRINGS "${CMAKE_CURRENT_SOURCE_DIR}/prj.conf" settings REGEX "^CONFIG_")
foreach(setting IN LISTS settings)
  string(REGEX MATCH "^([^=]+)=(.*)$" setting "${setting}")
  set(${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
endforeach()

add_library(app STATIC)
add_library(zephyr_interface INTERFACE)
if(CONFIG_TENSORFLOW_LITE_MICRO AND CONFIG_CPP AND CONFIG_REQUIRES_FULL_LIBCPP)
  stand_in_for_tflm(zephyr_interface)
endif()
target_link_libraries(app PUBLIC zephyr_interface)

function(zephyr_compile_options)
  target_compile_options(zephyr_interface INTERFACE ${ARGV})
endfunction()

# The program is the kernel's, and the application's main() is in a library.
file(WRITE "${CMAKE_BINARY_DIR}/kernel.c" "")
add_executable(zephyr_final "${CMAKE_BINARY_DIR}/kernel.c")
target_link_libraries(zephyr_final PRIVATE -Wl,--whole-archive app -Wl,--no-whole-archive)
add_custom_target(run COMMAND zephyr_final)
