# SPDX-License-Identifier: Apache-2.0
# Turn what the converter emits into libraries.

# Make a static library of a model's emitted files.
#
#   target   its name
#   model    the model's name
#   folder   where the emitted files lie
#   data     how the file with the data ends
#   backend  native, host or none: what runs it
function(
  _tflm_build_add_model_library
  target
  model
  folder
  data
  backend
)
  add_library(${target} STATIC "${folder}/${model}.c" "${folder}/${model}${data}")
  _tflm_build_embed(${target} "${folder}/${model}${data}" "${folder}/${model}.tflite")
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${folder}>" "$<INSTALL_INTERFACE:include>")
  set_target_properties(${target} PROPERTIES PUBLIC_HEADER "${folder}/${model}.h")
  _tflm_build_runtime(${backend} runtime)
  target_link_libraries(${target} PUBLIC ${runtime})
  if(backend STREQUAL "native")
    target_sources(${target} PRIVATE "${folder}/${model}_ops.cc")
    target_compile_definitions(${target} PRIVATE TFLM_BUILD_NATIVE)
    _tflm_build_compile_as_tflm(${target})
  endif()
  _tflm_build_keep_apart(${target})
  add_dependencies(${target} ${model}_generate)
endfunction()

# Make a second library of a model with this symbol an error of the linker, which otherwise takes the first in silence.
#
#   symbol  what the model's C symbols begin with
#   source  the trained model
function(_tflm_build_only_one target symbol source)
  if(MSVC OR NOT CMAKE_C_COMPILER_ID MATCHES "^(GNU|Clang|AppleClang)$")
    return()
  endif()
  # What this library alone defines, for the linker to be asked for. No path decides it.
  cmake_path(GET source FILENAME digest)
  cmake_path(ABSOLUTE_PATH source)
  if(EXISTS "${source}" AND NOT IS_DIRECTORY "${source}")
    file(SHA256 "${source}" digest)
  endif()
  string(MD5 digest "${PROJECT_NAME};${target};${digest}")
  _tflm_build_root(root)
  target_sources(${target} PRIVATE "${root}/runtime/src/one_model.c")
  target_compile_definitions(
    ${target}
    PRIVATE "TFLM_ONE_MODEL=tflm_two_models_have_the_symbol_${symbol}" "TFLM_LIBRARY=tflm_library_${digest}"
  )
  set(prefix "")
  if(APPLE)
    set(prefix _)
  endif()
  # As a library and not as an option, it comes to a program through private dependencies as well.
  target_link_libraries(${target} INTERFACE "-Wl,-u,${prefix}tflm_library_${digest}")
endfunction()

# Take a target out of what a project does with its own code: it should not have to fix or merge the code of others.
function(_tflm_build_keep_apart target)
  set_target_properties(
    ${target}
    PROPERTIES C_CLANG_TIDY "" C_CPPCHECK "" CXX_CLANG_TIDY "" CXX_CPPCHECK "" UNITY_BUILD OFF
  )
endfunction()

# Return a library of a model that runs on a backend: the model's own, or, for tests, one beside it.
function(_tflm_build_library_with model folder backend result)
  _tflm_build_find_tflm(chosen)
  set(library ${model})
  if(NOT backend STREQUAL chosen)
    set(library ${model}_on_${backend})
    if(NOT TARGET ${library})
      get_target_property(data ${model} TFLM_BUILD_DATA)
      _tflm_build_add_model_library(${library} ${model} "${folder}" "${data}" ${backend})
      set_target_properties(${library} PROPERTIES EXCLUDE_FROM_ALL ON)
    endif()
  endif()
  set(${result} ${library} PARENT_SCOPE)
endfunction()

# Add a model; function is the name that the user called it by, for messages. It has set whole_<KEYWORD>.
function(_tflm_build_add_model function name arguments)
  set(files SRC CALIBRATION TEST_DATA)
  foreach(keyword IN LISTS files)
    if(NOT whole_${keyword} MATCHES "[$]<") # the list of arguments is split at a ';' of it
      _tflm_build_check_path(${function} "${name}" ${keyword} "${whole_${keyword}}" "")
    endif()
  endforeach()
  set(
    values
    QUANTIZE
    WEIGHT_TYPE
    IO_TYPE
    DENSE_SCALES
    MAX_LSB
    MAX_FLOAT_ERROR
    MIN_TOP1
    MIN_SQNR
    MAX_FLASH
    MAX_ARENA
    MAX_MACS
    PLAN
    SHRINK
    TARGET
    KERNELS
    ARENA
    EMBED
    SYMBOL
    SECTION
    ALIGN
  )
  set(flags KEEP_NAMES REPORT UNSAFE_DESERIALIZE)
  _tflm_build_parse(${function} "${name}" "${files};${values}" "${flags}" "" "${arguments}")
  _tflm_build_require(${function} "${name}" SRC "<trained model>")
  _tflm_build_check_name(${function} "${name}")
  set(symbol "${name}")
  if(DEFINED arg_SYMBOL)
    set(symbol "${arg_SYMBOL}")
  endif()
  # A .tflite may be quantized already.
  if(arg_QUANTIZE MATCHES "^int" AND NOT DEFINED arg_CALIBRATION AND NOT arg_SRC MATCHES "[.]tflite$|[$]<")
    set(remedy "pass an .npz with one array per input")
    _tflm_build_error("${name}" "QUANTIZE ${arg_QUANTIZE} needs CALIBRATION data; got none; ${remedy}")
  endif()
  _tflm_build_check_packages("${name}" "${arg_SRC}")
  _tflm_build_resolve_embed("${name}" "${arg_EMBED}" arg_EMBED data)
  _tflm_build_find_tflm(backend)
  _tflm_build_complete_target("${arg_TARGET}" "${arg_KERNELS}" arg_TARGET arg_KERNELS)

  set(options "")
  set(inputs "")
  foreach(keyword IN LISTS files values flags)
    if(DEFINED arg_${keyword})
      string(TOLOWER "--${keyword}" option)
      string(REPLACE "_" "-" option "${option}")
      list(APPEND options "${option}")
      set(value "${arg_${keyword}}")
      if(keyword IN_LIST files)
        _tflm_build_input(${function} "${name}" ${keyword} "${value}" value input)
        list(APPEND inputs ${input})
      endif()
      if(NOT keyword IN_LIST flags)
        list(APPEND options "${value}")
      endif()
    endif()
  endforeach()

  _tflm_build_check_options("${name}" "${options}")

  if(backend STREQUAL "native" AND NOT DEFINED arg_ARENA)
    _tflm_build_probe(probe)
    if(probe)
      list(APPEND options --probe "${probe}")
      list(APPEND inputs tflm_build_probe "${probe}")
    endif()
  endif()

  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${name}.tflm")
  # In the place of outputs and of macros CMake carries less; and a '$' it forgets to escape for Ninja.
  _tflm_build_check_path(${function} "${name}" "the build folder" "${CMAKE_CURRENT_BINARY_DIR}" "#<>$"
  )
  set(manifest "${folder}/${name}.json")
  _tflm_build_compare_digests("${manifest}" "${inputs}")
  set(emitted "")
  foreach(
    end
    IN
    ITEMS .h .c .tflite ${data} _golden.c _golden.h _golden.npz _ops.cc .arena
  )
    list(APPEND emitted "${folder}/${name}${end}")
  endforeach()
  if(DEFINED arg_REPORT)
    list(APPEND emitted "${folder}/${name}.html")
  endif()
  set(source "")
  if(NOT arg_SRC MATCHES "[$]<")
    cmake_path(GET arg_SRC FILENAME source)
    string(PREPEND source " from ")
  endif()
  set(
    command
    ${TFLM_BUILD_COMMAND}
    convert
    --quiet
    --name
    "${name}"
    ${options}
  )
  # The manifest comes first: the converter puts it in its place last, and the depfile names it.
  set(outputs "${manifest}" ${emitted})
  if(CMAKE_GENERATOR MATCHES "Ninja")
    # Where a command fails, Ninja prints all of its outputs, by two names each, before the message: the manifest stands
    # for the other files.
    set(outputs "${manifest}")
    _tflm_build_root(root)
    add_custom_command(
      OUTPUT ${emitted}
      COMMAND "${CMAKE_COMMAND}" "-DFILES=${emitted}" "-DCOMMAND=${command}" -P "${root}/cmake/private/Restore.cmake"
      DEPENDS "${manifest}"
      JOB_POOL tflm_build
      COMMENT "Finding all files of model ${name}"
      VERBATIM
    )
  endif()
  add_custom_command(
    OUTPUT ${outputs}
    COMMAND ${command} --out-dir "${folder}"
    DEPENDS ${inputs}
    DEPFILE "${folder}/${name}.d"
    JOB_POOL tflm_build
    COMMENT "Compiling model ${name}${source}"
    VERBATIM
  )
  # The libraries below name the same outputs; waiting for this target keeps Make from running the command twice.
  add_custom_target(${name}_generate DEPENDS "${manifest}" ${emitted})

  _tflm_build_add_model_library(${name} "${name}" "${folder}" "${data}" ${backend})
  _tflm_build_only_one(${name} "${symbol}" "${arg_SRC}")
  add_library(tflm_build::${name} ALIAS ${name})
  set_target_properties(
    ${name}
    PROPERTIES
      TFLM_MANIFEST "${manifest}"
      TFLM_TFLITE "${folder}/${name}.tflite"
      TFLM_ARENA_SIZE "${folder}/${name}.arena"
      TFLM_BUILD_DATA "${data}"
      TFLM_BUILD_SYMBOL "${symbol}"
  )

  add_library(${name}_golden STATIC EXCLUDE_FROM_ALL "${folder}/${name}_golden.c")
  target_link_libraries(${name}_golden PUBLIC ${name})
  _tflm_build_keep_apart(${name}_golden)
  add_dependencies(${name}_golden ${name}_generate)
endfunction()
