# SPDX-License-Identifier: Apache-2.0
# A stand-in for ESP-IDF's project(): it scans `main` for its requirements, then adds components and a program.
set(idf_tools "${CMAKE_CURRENT_LIST_DIR}")
file(REAL_PATH "${CMAKE_CURRENT_LIST_DIR}" here)
include("${here}/../../../vendor_tflm.cmake")

macro(project name)
  _project(${name} C CXX ASM)
  set(scan "${idf_tools}/component_get_requirements.cmake")
  execute_process(
    COMMAND "${CMAKE_COMMAND}" "-DCOMPONENT=${CMAKE_SOURCE_DIR}/main" -P "${scan}"
    COMMAND_ERROR_IS_FATAL ANY
  )
  file(STRINGS "${CMAKE_SOURCE_DIR}/main/idf_component.yml" tflm REGEX "^  espressif/esp-tflite-micro:")
  if(tflm)
    add_library(__idf_espressif__esp-tflite-micro INTERFACE)
    add_library(idf::espressif__esp-tflite-micro ALIAS __idf_espressif__esp-tflite-micro)
    stand_in_for_tflm(__idf_espressif__esp-tflite-micro)
  endif()
  add_subdirectory(main)
  add_executable(${name}.elf "${idf_tools}/start.c")
  target_link_libraries(${name}.elf PRIVATE __idf_main)
endmacro()

function(idf_component_register)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "SRCS")
  add_compile_options(
    -Wall
    -Wextra
    -Werror=all
    -Wno-unused-parameter
    -Wno-sign-compare
  )
  add_library(__idf_main STATIC ${arg_SRCS})
  set(COMPONENT_LIB __idf_main PARENT_SCOPE)
endfunction()
