# SPDX-License-Identifier: Apache-2.0
# Take TensorFlow Lite for Microcontrollers (TFLM) from a target of the project.

# Take a target of the project.
function(_tflm_build_provide_target result)
  set(target "")
  if(TFLM_TARGET)
    if(NOT TARGET "${TFLM_TARGET}")
      set(remedy "add it before the first model, or check the name")
      _tflm_build_error("TFLM" "TFLM_TARGET got '${TFLM_TARGET}', which is no target; ${remedy}")
    endif()
    set(target "${TFLM_TARGET}")
  elseif(TARGET zephyr_interface AND CONFIG_TENSORFLOW_LITE_MICRO)
    set(target zephyr_interface)
  else()
    # Of the Pico SDK's port, of Espressif's component, managed and local, and of upstream's Makefile.
    set(known pico-tflmicro idf::espressif__esp-tflite-micro idf::esp-tflite-micro tensorflow-microlite)
    foreach(name IN LISTS known)
      if(TARGET ${name})
        set(target ${name})
        break()
      endif()
    endforeach()
  endif()
  if(target)
    _tflm_build_need_cxx()
    add_library(tflm_build_tflm INTERFACE)
    add_library(tflm_build::tflm ALIAS tflm_build_tflm)
    _tflm_build_link_without_sources("${target}")
    if(TARGET zephyr_generated_headers)
      add_dependencies(tflm_build_tflm zephyr_generated_headers)
    endif()
    # Not by find_path(), which is for the host where a toolchain says so. Folders that are known later are left alone.
    get_target_property(folders "${target}" INTERFACE_INCLUDE_DIRECTORIES)
    foreach(folder IN LISTS folders)
      if(EXISTS "${folder}/tensorflow/lite/micro/micro_interpreter.h")
        _tflm_build_use_namespace("${folder}" namespace)
        break()
      endif()
    endforeach()
    set(target "target, ${target}")
  endif()
  set(${result} "${target}" PARENT_SCOPE)
endfunction()

# Link a target and take its compile options; where it is a library itself, leave out its INTERFACE_SOURCES.
#
# pico-tflmicro has all of TFLM and of the Pico SDK as such sources: each model that links it would compile them again.
function(_tflm_build_link_without_sources target)
  get_target_property(imported "${target}" IMPORTED)
  get_target_property(type "${target}" TYPE)
  if(imported OR type STREQUAL "INTERFACE_LIBRARY")
    target_link_libraries(tflm_build_tflm INTERFACE "${target}")
    return()
  endif()
  target_link_libraries(tflm_build_tflm INTERFACE "$<LINK_ONLY:${target}>")
  foreach(
    property
    IN
    ITEMS INCLUDE_DIRECTORIES SYSTEM_INCLUDE_DIRECTORIES COMPILE_DEFINITIONS COMPILE_OPTIONS COMPILE_FEATURES
  )
    set_target_properties(
      tflm_build_tflm
      PROPERTIES INTERFACE_${property} "$<TARGET_PROPERTY:${target},INTERFACE_${property}>"
    )
  endforeach()
endfunction()
