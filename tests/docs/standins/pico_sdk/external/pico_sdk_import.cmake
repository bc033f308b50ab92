# SPDX-License-Identifier: Apache-2.0
# A stand-in for the Pico SDK: its libraries and functions that a page names, for this machine.
set(PICO_SDK_PATH "${PICO_SDK_PATH}" CACHE PATH "Path to the Raspberry Pi Pico SDK")

macro(pico_sdk_init)
  if(NOT CMAKE_PROJECT_NAME)
    message(FATAL_ERROR "pico_sdk_init() comes after project()")
  elseif(NOT TARGET pico_stdlib)
    add_library(pico_stdlib INTERFACE)
    target_sources(pico_stdlib INTERFACE "${PICO_SDK_PATH}/stdio.c")
    target_include_directories(pico_stdlib INTERFACE "${PICO_SDK_PATH}/include")
  endif()
endmacro()

function(pico_enable_stdio_usb target enabled)
endfunction()

# There, it makes a .uf2; here, the program runs, and a status other than 0 ends the build.
function(pico_add_extra_outputs target)
  add_custom_command(TARGET ${target} POST_BUILD COMMAND ${target} VERBATIM)
endfunction()
