# SPDX-License-Identifier: Apache-2.0
#[=[
Build trained models into firmware.

add_tflm_model(<name> SRC <file> [QUANTIZE none|int8|int16x8] [IO_TYPE auto|float32]
               [CALIBRATION <data>] [TEST_DATA <data>] [MAX_LSB <n>] [MAX_FLOAT_ERROR <x>] [MIN_TOP1 <x>]
               [MAX_FLASH <size>] [MAX_ARENA <size>] [MAX_MACS <count>] [PLAN auto|off]
               [EMBED auto|array|incbin] [SECTION <name>] [ALIGN <bytes>] [KEEP_NAMES] [UNSAFE_DESERIALIZE])

  Compile a trained model at build time, whenever the model, its data or the converter changes, and make the targets

    <name>              static library: the const data and the descriptor; brings its headers and the runtime
    tflm_build::<name>  alias of it
    <name>_generate     the conversion alone
    <name>_golden       static library: golden vectors for tests

  SRC                 the trained model: .keras, .h5, .hdf5, .tflite, a SavedModel folder, or module.py:function
  QUANTIZE            integers that the model computes with; none, the default, keeps what the source has
  IO_TYPE             element type of inputs and outputs of a quantized model: auto is its integer type
  CALIBRATION         representative data, required to quantize: .npz with one array per input, .npy, a folder of
                      .npy files or images, module.py:function that yields samples, or random:<n> for trials
  TEST_DATA           data that golden inputs are taken from and accuracy is worked out on; the calibration data if
                      left out
  MAX_LSB             largest difference from LiteRT's reference kernels, in steps of the output
  MAX_FLOAT_ERROR     largest difference from the float model, in real numbers
  MIN_TOP1            smallest share of samples whose largest output is the label's, or the float model's
  MAX_FLASH           budget of flash for the model's data, such as 32K
  MAX_ARENA           budget of the arena, such as 16K
  MAX_MACS            budget of multiply-accumulates of one invocation, such as 3M
  PLAN                auto, the default: plan the arena offline where TFLM's own planner wastes some
  EMBED               how the data gets into the program: a C array, or the assembler's .incbin, which compiles in no time;
                      auto, the default, is incbin where the toolchain has it
  SECTION             linker section of the data; that of constants if left out
  ALIGN               alignment of the data in bytes, a power of two from 16, the default, to 4096
  KEEP_NAMES          keep the names of tensors in the model, for debugging
  UNSAFE_DESERIALIZE  let Keras run code that lies in the source, as Lambda layers do

  Relative files are looked for in the source folder, then, for files that the build makes, in the binary folder.

tflm_add_model_test(<name>)

  Add the CTest <name>.golden: a C program runs the golden vectors through the runtime, on the TFLM interpreter of the
  host, and compares.

TFLM_BUILD_PYTHON (cache variable) is the Python interpreter that has the package tflm_build; found if not set.
#]=]
include_guard(GLOBAL)

if(CMAKE_VERSION VERSION_LESS 3.22)
  message(
    FATAL_ERROR
    "tflm-build: error: CMake ${CMAKE_VERSION} is too old; 3.22 and newer are supported; pip install cmake"
  )
endif()

include("${CMAKE_CURRENT_LIST_DIR}/private/Arguments.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Embed.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Python.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Runtime.cmake")

_tflm_build_find_python()
_tflm_build_add_runtime()

function(add_tflm_model name)
  set(files SRC CALIBRATION TEST_DATA)
  set(
    values
    QUANTIZE
    IO_TYPE
    MAX_LSB
    MAX_FLOAT_ERROR
    MIN_TOP1
    MAX_FLASH
    MAX_ARENA
    MAX_MACS
    PLAN
    EMBED
    SECTION
    ALIGN
  )
  set(flags KEEP_NAMES UNSAFE_DESERIALIZE)
  _tflm_build_parse(add_tflm_model "${name}" "${files};${values}" "${flags}" "${ARGN}")
  if(NOT DEFINED arg_SRC)
    _tflm_build_error("${name}" "add_tflm_model needs SRC; got none; pass SRC <trained model>")
  endif()

  _tflm_build_resolve_embed("${name}" "${arg_EMBED}" arg_EMBED data)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${name}.tflm")
  set(options "")
  set(inputs "")
  foreach(keyword IN LISTS files values flags)
    if(DEFINED arg_${keyword})
      string(TOLOWER "--${keyword}" option)
      string(REPLACE "_" "-" option "${option}")
      list(APPEND options "${option}")
      set(value "${arg_${keyword}}")
      if(keyword IN_LIST files)
        _tflm_build_input("${name}" ${keyword} "${value}" value)
        # What lies in a folder, and what a function imports from its own, is named by the depfile.
        string(REGEX REPLACE "([.]py):[A-Za-z0-9_]+$" "\\1" file "${value}")
        if(IS_ABSOLUTE "${file}" AND NOT IS_DIRECTORY "${file}")
          list(APPEND inputs "${file}")
        endif()
      endif()
      if(NOT keyword IN_LIST flags)
        list(APPEND options "${value}")
      endif()
    endif()
  endforeach()

  # The manifest comes first: the converter puts it in its place last, and the depfile names it.
  set(
    outputs
    "${folder}/${name}.json"
    "${folder}/${name}.h"
    "${folder}/${name}.c"
    "${folder}/${name}.tflite"
    "${folder}/${name}${data}"
    "${folder}/${name}_golden.c"
    "${folder}/${name}_golden.h"
    "${folder}/${name}_golden.npz"
    "${folder}/${name}_ops.cc"
    "${folder}/${name}.arena"
  )
  cmake_path(GET arg_SRC FILENAME source)
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND ${TFLM_BUILD_COMMAND} convert --quiet --name "${name}" ${options} --out-dir "${folder}"
    DEPENDS ${inputs}
    DEPFILE "${folder}/${name}.d"
    COMMENT "Compiling model ${name} from ${source}"
    VERBATIM
  )
  # The libraries below name the same outputs; waiting for this target keeps Make from running the command twice.
  add_custom_target(${name}_generate DEPENDS ${outputs})

  add_library(${name} STATIC "${folder}/${name}.c" "${folder}/${name}${data}")
  _tflm_build_embed(${name} "${folder}/${name}${data}" "${folder}/${name}.tflite")
  add_library(tflm_build::${name} ALIAS ${name})
  target_include_directories(${name} PUBLIC "${folder}")
  target_link_libraries(${name} PUBLIC tflm_build::runtime)
  add_dependencies(${name} ${name}_generate)

  add_library(${name}_golden STATIC EXCLUDE_FROM_ALL "${folder}/${name}_golden.c")
  target_link_libraries(${name}_golden PUBLIC ${name})
  add_dependencies(${name}_golden ${name}_generate)
endfunction()

function(tflm_add_model_test name)
  _tflm_build_parse(tflm_add_model_test "${name}" "" "" "${ARGN}")
  if(NOT TARGET ${name}_golden)
    set(remedy "call add_tflm_model(${name} ...) first")
    _tflm_build_error("${name}" "tflm_add_model_test needs a model; got '${name}', which is none; ${remedy}")
  endif()
  _tflm_build_root(root)
  add_executable(${name}_golden_test "${root}/runtime/src/model_test.c")
  target_compile_definitions(${name}_golden_test PRIVATE TFLM_GOLDEN=${name}_golden)
  target_link_libraries(${name}_golden_test PRIVATE ${name}_golden)
  add_test(NAME ${name}.golden COMMAND ${name}_golden_test)
endfunction()
