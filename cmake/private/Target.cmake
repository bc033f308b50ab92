# SPDX-License-Identifier: Apache-2.0
# Find out which processor the arenas of models are for, and which kernels TFLM has there.

# Return what TARGET and KERNELS are where the user does not say; one line says what was found, once.
#
# TFLM has been looked for before.
#
#   given_target, given_kernels  what the user says; "" for nothing
function(_tflm_build_complete_target given_target given_kernels target_result kernels_result)
  string(TOLOWER "${given_target}" target)
  set(kernels "${given_kernels}")
  if(NOT target OR target STREQUAL "auto")
    _tflm_build_processor(target)
    # Kernels of another processor are for builds that have it: an image and tests on this machine share their models.
    if(
      (kernels STREQUAL "cmsis-nn" AND NOT target MATCHES "^(any|cortex)")
      OR (kernels STREQUAL "esp-nn" AND NOT target MATCHES "^(any|esp)")
    )
      set(kernels auto)
      set(${kernels_result} auto PARENT_SCOPE)
    endif()
  endif()
  if(NOT kernels OR kernels STREQUAL "auto")
    _tflm_build_kernels("${target}" kernels)
  endif()
  set(words "${target}, ${kernels}")
  if(target STREQUAL "any32" AND NOT given_target)
    set(words "any chip of 32 bits; pass TARGET and KERNELS to say which it is")
  elseif(kernels STREQUAL "auto")
    set(words "${target}, the kernels that need most; pass KERNELS to say which they are")
  endif()
  get_property(said GLOBAL PROPERTY TFLM_BUILD_ARENAS)
  string(MD5 key "${words}") # a list would be split at a ';' of the words
  if(NOT key IN_LIST said)
    message(STATUS "tflm-build: arena for ${words}")
    set_property(GLOBAL APPEND PROPERTY TFLM_BUILD_ARENAS ${key})
  endif()
  if(NOT target STREQUAL "host") # which is what the converter takes for granted
    set(${target_result} "${target}" PARENT_SCOPE)
    set(${kernels_result} "${kernels}" PARENT_SCOPE)
  endif()
endfunction()

# Return the processor: what ESP-IDF or Zephyr say, then the compiler's options, then the toolchain file.
function(_tflm_build_processor result)
  get_directory_property(options COMPILE_OPTIONS)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  set(words "")
  foreach(language IN ITEMS CXX C)
    foreach(variable IN ITEMS COMPILER_TARGET COMPILER_ARG1 FLAGS "FLAGS_${type}")
      string(APPEND words " ${CMAKE_${language}_${variable}}")
    endforeach()
  endforeach()
  string(TOLOWER "${words} ${options}" words)
  string(TOLOWER "${IDF_TARGET};${CONFIG_IDF_TARGET};${CONFIG_SOC_SERIES}" chips)
  list(FILTER chips INCLUDE REGEX "^esp32")
  list(POP_FRONT chips chip)
  if(chip MATCHES "^esp32(s3|p4)")
    set(${result} "esp32${CMAKE_MATCH_1}" PARENT_SCOPE)
  elseif(chip MATCHES "^esp32")
    set(${result} esp32 PARENT_SCOPE) # the others have kernels without vectors, whatever their processor
  elseif(NOT CMAKE_CROSSCOMPILING OR CONFIG_ARCH_POSIX)
    set(${result} host PARENT_SCOPE)
  else()
    _tflm_build_core("${words}" core)
    set(${result} "${core}" PARENT_SCOPE)
  endif()
endfunction()

# Return the core that a cross compiler compiles for.
#
#   words  the compiler's options, in lower case
function(_tflm_build_core words result)
  set(
    cores
    cortex-m0plus
    cortex-m0
    cortex-m1
    cortex-m23
    cortex-m3
    cortex-m33
    cortex-m35p
    cortex-m4
    cortex-m52
    cortex-m55
    cortex-m7
    cortex-m85
  )
  foreach(core IN LISTS cores)
    string(TOUPPER "CONFIG_CPU_${core}" variable)
    string(REPLACE "-" "_" variable "${variable}")
    if(${variable})
      set(${result} ${core} PARENT_SCOPE)
      return()
    endif()
  endforeach()
  string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
  # As GCC and Clang spell them; an architecture stands for the core of it that needs most.
  set(
    architectures
    v6-?m
    v7-?m
    v7e-?m
    v8[.]1-?m
    v8-?m
  )
  set(
    equals
    cortex-m0
    cortex-m3
    cortex-m4
    cortex-m55
    cortex-m33
  )
  string(APPEND words " ${processor}")
  set(bytes "${CMAKE_SIZEOF_VOID_P}")
  if(words MATCHES ".*-(mcpu=|-cpu[ =;])(cortex-m[0-9]+(plus|p)?)" AND CMAKE_MATCH_2 IN_LIST cores)
    set(core ${CMAKE_MATCH_2}) # the last that is given counts
  elseif(processor MATCHES "^(cortex-m[0-9]+(plus|p)?)" AND CMAKE_MATCH_1 IN_LIST cores)
    set(core ${CMAKE_MATCH_1})
  elseif("${bytes}" STREQUAL "8" OR CONFIG_64BIT OR words MATCHES "(aarch|x86_|amd|riscv|rv)64")
    set(core host)
  elseif(
    CONFIG_RISCV
    OR words MATCHES "riscv32|rv32|hazard3"
    OR ("${bytes}" STREQUAL "4" AND processor MATCHES "^riscv")
  )
    set(core riscv32)
  else()
    set(core any32)
    foreach(architecture equal IN ZIP_LISTS architectures equals)
      if(words MATCHES "(arm|thumb)${architecture}")
        set(core ${equal})
        break()
      endif()
    endforeach()
  endif()
  set(${result} ${core} PARENT_SCOPE)
endfunction()

# Return the kernels of the TFLM that was found: by names of what it is made of, or by the symbols of a library.
function(_tflm_build_kernels target result)
  set(${result} auto PARENT_SCOPE)
  if(target MATCHES "^cortex")
    set(library cmsis-nn)
    set(traces "cmsis[-_]?nn|arm_convolve_")
  elseif(target MATCHES "^esp")
    set(library esp-nn)
    set(traces "esp[-_]nn")
  else()
    if(target MATCHES "^(host|riscv32)$")
      set(${result} reference PARENT_SCOPE)
    endif()
    return()
  endif()
  set(pending "")
  if(TARGET tflm_build_tflm)
    set(pending tflm_build_tflm)
  endif()
  set(seen "")
  while(pending)
    list(POP_FRONT pending each)
    list(APPEND seen "${each}")
    set(words "${each}")
    if(TARGET "${each}")
      foreach(property IN ITEMS SOURCES INTERFACE_INCLUDE_DIRECTORIES INTERFACE_COMPILE_DEFINITIONS)
        get_target_property(value "${each}" ${property})
        string(APPEND words ";${value}")
      endforeach()
      set(linked "")
      foreach(property IN ITEMS LINK_LIBRARIES INTERFACE_LINK_LIBRARIES IMPORTED_LOCATION)
        get_target_property(value "${each}" ${property})
        list(APPEND linked ${value})
      endforeach()
      list(TRANSFORM linked REPLACE "^[$]<LINK_ONLY:(.*)>$" "\\1")
      list(FILTER linked EXCLUDE REGEX "-NOTFOUND$")
      list(REMOVE_ITEM linked "" ${seen})
      list(APPEND pending ${linked})
    elseif(EXISTS "${each}" AND NOT IS_DIRECTORY "${each}")
      _tflm_build_symbols("${each}" words)
      if(words MATCHES "MicroInterpreter")
        set(${result} reference PARENT_SCOPE) # unless there are traces of others
      endif()
    endif()
    string(TOLOWER "${words}" words)
    if(words MATCHES "${traces}")
      set(${result} ${library} PARENT_SCOPE)
      return()
    endif()
  endwhile()
endfunction()

# Return what nm says of a library; it is asked once, however many models there are.
function(_tflm_build_symbols library result)
  get_property(asked GLOBAL PROPERTY "TFLM_BUILD_SYMBOLS_${library}" SET)
  if(NOT asked)
    execute_process(COMMAND "${CMAKE_NM}" "${library}" OUTPUT_VARIABLE words ERROR_QUIET)
    set_property(GLOBAL PROPERTY "TFLM_BUILD_SYMBOLS_${library}" "${words}")
  endif()
  get_property(words GLOBAL PROPERTY "TFLM_BUILD_SYMBOLS_${library}")
  set(${result} "${words}" PARENT_SCOPE)
endfunction()

# Return the object file of the probe, which has sizes of TFLM's structures for this compiler; "" where there is none.
#
# It is a generator expression, which differs by configuration where a build has several, as a model may not.
function(_tflm_build_probe result)
  set(${result} "" PARENT_SCOPE)
  get_property(several GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
  if(NOT TARGET tflm_build_tflm OR several OR (DEFINED TFLM_BUILD_PROBE AND NOT TFLM_BUILD_PROBE))
    return()
  endif()
  if(NOT TARGET tflm_build_probe)
    _tflm_build_root(root)
    add_library(tflm_build_probe OBJECT EXCLUDE_FROM_ALL "${root}/runtime/src/probe.cc")
    target_link_libraries(tflm_build_probe PRIVATE tflm_build::tflm)
    _tflm_build_compile_as_tflm(tflm_build_probe)
    _tflm_build_keep_apart(tflm_build_probe)
    set_target_properties(tflm_build_probe PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
      target_compile_options(tflm_build_probe PRIVATE -fno-lto) # an object for LTO has no data
    endif()
  endif()
  set(${result} "$<TARGET_OBJECTS:tflm_build_probe>" PARENT_SCOPE)
endfunction()
