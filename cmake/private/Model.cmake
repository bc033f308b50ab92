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
