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

# Take a target out of what a project does with its own code: that of others is not for it to mend or to merge.
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
