# SPDX-License-Identifier: Apache-2.0
#[=[
Build trained models into firmware.

add_tflm_model(<name> SRC <file> [QUANTIZE none|int8|int16x8] [IO_TYPE auto|float32]
               [CALIBRATION <file>|random:<n>] [TEST_DATA <file>] [MAX_LSB <n>])

  Compile a trained model at build time, whenever the model, its data or the converter changes, and make the targets

    <name>              static library: the const data and the descriptor; brings its headers and the runtime
    tflm_build::<name>  alias of it
    <name>_generate     the conversion alone
    <name>_golden       static library: golden vectors for tests

  SRC          the trained model: .keras, .h5, .hdf5 or .tflite
  QUANTIZE     integers that the model computes with; none, the default, keeps what the source has
  IO_TYPE      element type of inputs and outputs of a quantized model: auto is its integer type
  CALIBRATION  representative data, required to quantize: an .npz with one array per input, or an .npy
  TEST_DATA    where golden inputs are taken from; the calibration data if left out
  MAX_LSB      largest difference from LiteRT's reference kernels, in steps of the output

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
include("${CMAKE_CURRENT_LIST_DIR}/private/Python.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Runtime.cmake")

_tflm_build_find_python()
_tflm_build_add_runtime()

function(add_tflm_model name)
  set(files SRC CALIBRATION TEST_DATA)
  set(values QUANTIZE IO_TYPE MAX_LSB)
  _tflm_build_parse(add_tflm_model "${name}" "${files};${values}" "${ARGN}")
  if(NOT DEFINED arg_SRC)
    _tflm_build_error("${name}" "add_tflm_model needs SRC; got none; pass SRC <trained model>")
  endif()

  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${name}.tflm")
  set(options "")
  set(inputs "")
  foreach(keyword IN LISTS files values)
    if(DEFINED arg_${keyword})
      set(value "${arg_${keyword}}")
      if(keyword IN_LIST files)
        _tflm_build_input("${name}" ${keyword} "${value}" value)
        if(IS_ABSOLUTE "${value}")
          list(APPEND inputs "${value}")
        endif()
      endif()
      string(TOLOWER "--${keyword}" option)
      string(REPLACE "_" "-" option "${option}")
      list(APPEND options "${option}" "${value}")
    endif()
  endforeach()

  # The manifest comes first: the converter puts it in its place last, and the depfile names it.
  set(
    outputs
    "${folder}/${name}.json"
    "${folder}/${name}.h"
    "${folder}/${name}.c"
    "${folder}/${name}.tflite"
    "${folder}/${name}_data.c"
    "${folder}/${name}_golden.c"
    "${folder}/${name}_golden.h"
    "${folder}/${name}_ops.cc"
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

  add_library(${name} STATIC "${folder}/${name}.c" "${folder}/${name}_data.c")
  add_library(tflm_build::${name} ALIAS ${name})
  target_include_directories(${name} PUBLIC "${folder}")
  target_link_libraries(${name} PUBLIC tflm_build::runtime)
  add_dependencies(${name} ${name}_generate)

  add_library(${name}_golden STATIC EXCLUDE_FROM_ALL "${folder}/${name}_golden.c")
  target_link_libraries(${name}_golden PUBLIC ${name})
  add_dependencies(${name}_golden ${name}_generate)
endfunction()

function(tflm_add_model_test name)
  _tflm_build_parse(tflm_add_model_test "${name}" "" "${ARGN}")
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
