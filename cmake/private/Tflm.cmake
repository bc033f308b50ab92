# SPDX-License-Identifier: Apache-2.0
# Find TensorFlow Lite for Microcontrollers (TFLM) in the way that TFLM_PROVIDER names.

# Make tflm_build::tflm where there is a TFLM to link, and return the backend: native, host or none. Once in a build.
function(_tflm_build_find_tflm result)
  set(provider auto)
  if(NOT "${TFLM_PROVIDER}" STREQUAL "")
    set(provider "${TFLM_PROVIDER}")
  endif()
  get_property(found GLOBAL PROPERTY TFLM_BUILD_PROVIDER)
  if(NOT found)
    _tflm_build_provide(${provider} backend found)
    message(STATUS "tflm-build: TFLM_PROVIDER ${provider}: ${found}")
    set_property(GLOBAL PROPERTY TFLM_BUILD_PROVIDER ${provider})
    set_property(GLOBAL PROPERTY TFLM_BUILD_BACKEND ${backend})
  elseif(NOT found STREQUAL provider)
    set(what "TFLM_PROVIDER got '${provider}', but '${found}' for an earlier model")
    _tflm_build_error("TFLM" "${what}; one serves the whole build; set it before the first model")
  endif()
  get_property(backend GLOBAL PROPERTY TFLM_BUILD_BACKEND)
  set(${result} ${backend} PARENT_SCOPE)
endfunction()

# Return the backend, and in words what was found.
function(_tflm_build_provide provider backend result)
  set(variables TFLM_TARGET TFLM_ROOT TFLM_SOURCE_DIR)
  set(providers target root source)
  set(allowed auto host none ${providers})
  if(NOT provider IN_LIST allowed)
    _tflm_build_error("TFLM" "TFLM_PROVIDER got '${provider}'; allowed: auto, target, root, source, host, none")
  endif()
  foreach(variable each IN ZIP_LISTS variables providers)
    if(provider STREQUAL each OR provider STREQUAL "auto")
      cmake_language(CALL _tflm_build_provide_${each} words)
      if(words)
        set(${result} "${words}" PARENT_SCOPE)
        set(${backend} native PARENT_SCOPE)
        return()
      elseif(provider STREQUAL each)
        _tflm_build_error("TFLM" "TFLM_PROVIDER ${each} needs ${variable}; got none; pass -D${variable}=<${each}>")
      endif()
    endif()
  endforeach()
  if(provider STREQUAL "host")
    _tflm_build_refuse_host("TFLM" "TFLM_PROVIDER host")
  endif()
  if(provider STREQUAL "none" OR (provider STREQUAL "auto" AND (CMAKE_CROSSCOMPILING OR WIN32)))
    set(${result} "none; data, headers and descriptors alone" PARENT_SCOPE)
    set(${backend} none PARENT_SCOPE)
  else()
    set(${result} "host, the interpreter of ${TFLM_BUILD_PYTHON}" PARENT_SCOPE)
    set(${backend} host PARENT_SCOPE)
  endif()
endfunction()

# Take headers and a library that lie below a folder, where upstream's Makefile and vendors leave them.
function(_tflm_build_provide_root result)
  set(${result} "" PARENT_SCOPE)
  if(NOT TFLM_ROOT)
    return()
  endif()
  _tflm_build_need_cxx()
  _tflm_build_absolute(TFLM_ROOT "${TFLM_ROOT}" root)
  set(interpreter tensorflow/lite/micro/micro_interpreter.h)
  _tflm_build_find_header(TFLM_ROOT "${root}" ${interpreter} "include;inc;src" headers)
  set(downloads tensorflow/lite/micro/tools/make/downloads)
  set(places "")
  foreach(folder IN ITEMS flatbuffers/include flatbuffers gemmlowp)
    list(APPEND places "third_party/${folder}" "include/third_party/${folder}" "${downloads}/${folder}" "${folder}")
  endforeach()
  _tflm_build_find_header(TFLM_ROOT "${root}" flatbuffers/flatbuffers.h "${places};include" flatbuffers)
  _tflm_build_find_header(TFLM_ROOT "${root}" fixedpoint/fixedpoint.h "${places};include" gemmlowp)
  _tflm_build_find_library("${root}" library)

  add_library(tflm_build_tflm INTERFACE)
  add_library(tflm_build::tflm ALIAS tflm_build_tflm)
  target_include_directories(tflm_build_tflm SYSTEM INTERFACE "${headers}" "${flatbuffers}" "${gemmlowp}")
  target_link_libraries(tflm_build_tflm INTERFACE "${library}")
  _tflm_build_link_math(tflm_build_tflm INTERFACE)
  _tflm_build_match_memory("${library}" "${headers}" memory)
  _tflm_build_use_namespace("${headers}" layout)
  set(${result} "root, ${library}, headers in ${headers}, ${layout}${memory}" PARENT_SCOPE)
endfunction()

# Compile a tree of sources that upstream's create_tflm_tree.py wrote.
function(_tflm_build_provide_source result)
  set(${result} "" PARENT_SCOPE)
  if(NOT TFLM_SOURCE_DIR)
    return()
  endif()
  _tflm_build_need_cxx()
  _tflm_build_absolute(TFLM_SOURCE_DIR "${TFLM_SOURCE_DIR}" root)
  if(EXISTS "${root}/tensorflow/lite/micro/tools/make/Makefile")
    set(remedy "write a tree with its tensorflow/lite/micro/tools/project_generation/create_tflm_tree.py")
    _tflm_build_error("TFLM" "TFLM_SOURCE_DIR got '${root}', which is a checkout with tests of its own; ${remedy}")
  endif()
  _tflm_build_find_header(TFLM_SOURCE_DIR "${root}" tensorflow/lite/micro/micro_interpreter.h "" headers)
  file(GLOB folders CONFIGURE_DEPENDS "${root}/third_party/*/include" "${root}/third_party/*")
  list(FILTER folders EXCLUDE REGEX "[.][A-Za-z]+$")
  list(APPEND folders "${root}/third_party/kissfft/tools" "${root}/third_party/cmsis_nn/Include")
  file(
    GLOB_RECURSE sources
    CONFIGURE_DEPENDS
    "${root}/signal/*.c*"
    "${root}/tensorflow/*.c*"
    "${root}/third_party/*.c*"
  )
  list(FILTER sources INCLUDE REGEX "[.](c|cc|cpp)$")
  set(kernels "")
  if(EXISTS "${root}/third_party/cmsis_nn")
    set(kernels CMSIS_NN)
  endif()

  add_library(tflm_build_tflm STATIC EXCLUDE_FROM_ALL ${sources})
  add_library(tflm_build::tflm ALIAS tflm_build_tflm)
  target_include_directories(tflm_build_tflm SYSTEM PUBLIC "${root}" ${folders})
  target_compile_definitions(
    tflm_build_tflm
    PUBLIC
      TF_LITE_STATIC_MEMORY
      TF_LITE_DISABLE_X86_NEON
      ${kernels}
      $<$<CONFIG:Release,MinSizeRel>:NDEBUG>
      $<$<CONFIG:Release,MinSizeRel>:TF_LITE_STRIP_ERROR_STRINGS>
    PRIVATE $<$<NOT:$<BOOL:${CMAKE_CROSSCOMPILING}>>:TF_LITE_USE_CTIME>
  )
  target_compile_features(tflm_build_tflm PUBLIC cxx_std_17)
  _tflm_build_compile_as_tflm(tflm_build_tflm)
  _tflm_build_keep_apart(tflm_build_tflm)
  _tflm_build_link_math(tflm_build_tflm PUBLIC)
  list(LENGTH sources count)
  _tflm_build_use_namespace("${root}" layout)
  set(${result} "source, ${count} files in ${root}, ${layout}" PARENT_SCOPE)
endfunction()

# Compile the C++ of a target as TFLM's own makefiles do.
function(_tflm_build_compile_as_tflm target)
  target_compile_features(${target} PRIVATE cxx_std_17)
  if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang")
    foreach(flag IN ITEMS -fno-rtti -fno-exceptions -fno-threadsafe-statics -fno-unwind-tables)
      target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${flag}>")
    endforeach()
    target_compile_options(${target} PRIVATE -ffunction-sections -fdata-sections)
  endif()
endfunction()

# Link the library of mathematical functions where it is one of its own.
function(_tflm_build_link_math target scope)
  if(CMAKE_CXX_COMPILER_ID MATCHES "GNU|Clang" AND NOT WIN32)
    target_link_libraries(${target} ${scope} m)
  endif()
endfunction()

# Stop if the project has no C++.
function(_tflm_build_need_cxx)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "CXX" IN_LIST languages)
    _tflm_build_error("TFLM" "TFLM is C++17; got the languages ${languages}; add CXX to project()")
  endif()
endfunction()

# Return the absolute path of a folder that a variable names.
function(_tflm_build_absolute variable folder result)
  cmake_path(ABSOLUTE_PATH folder BASE_DIRECTORY "${CMAKE_SOURCE_DIR}" NORMALIZE)
  if(NOT IS_DIRECTORY "${folder}")
    _tflm_build_error("TFLM" "${variable} got '${folder}', which is no folder; check the path")
  endif()
  set(${result} "${folder}" PARENT_SCOPE)
endfunction()

# Return the folder below which a header lies: of some places below a root, or of the system's.
function(
  _tflm_build_find_header
  variable
  root
  header
  places
  result
)
  unset(found)
  find_path(found "${header}" PATHS "${root}" PATH_SUFFIXES ${places} NO_CACHE NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  if(NOT found AND NOT header MATCHES "^tensorflow")
    find_path(found "${header}" PATH_SUFFIXES gemmlowp NO_CACHE)
  endif()
  if(NOT found)
    list(PREPEND places .)
    list(JOIN places ", " words)
    set(remedy "check the path, or complete the folder")
    _tflm_build_error("TFLM" "${variable} got '${root}', which has no ${header} in any of: ${words}; ${remedy}")
  endif()
  string(REGEX REPLACE "/$" "" found "${found}")
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Return the library of TFLM below a root.
function(_tflm_build_find_library root result)
  if(TFLM_LIBRARY)
    cmake_path(ABSOLUTE_PATH TFLM_LIBRARY BASE_DIRECTORY "${root}" NORMALIZE OUTPUT_VARIABLE library)
    if(NOT EXISTS "${library}")
      _tflm_build_error("TFLM" "TFLM_LIBRARY got '${library}', which does not exist; check the path")
    endif()
    set(${result} "${library}" PARENT_SCOPE)
    return()
  endif()
  set(found "")
  set(words "")
  file(
    GLOB places
    "${root}/lib"
    "${root}/lib/*"
    "${root}/lib64"
    "${root}/gen/*/lib"
    "${root}/gen"
  )
  foreach(place IN LISTS places ITEMS "${root}")
    foreach(name IN ITEMS tensorflow-microlite tflm)
      foreach(suffix IN ITEMS "${CMAKE_STATIC_LIBRARY_SUFFIX}" "${CMAKE_SHARED_LIBRARY_SUFFIX}")
        set(file "${place}/${CMAKE_STATIC_LIBRARY_PREFIX}${name}${suffix}")
        if(suffix AND EXISTS "${file}")
          list(APPEND found "${file}")
        endif()
      endforeach()
    endforeach()
  endforeach()
  list(LENGTH found count)
  if(count EQUAL 0)
    set(places "., lib, lib/*, lib64, gen, gen/*/lib")
    set(what "which has neither libtensorflow-microlite.a nor libtflm.a in any of: ${places}")
    _tflm_build_error("TFLM" "TFLM_ROOT got '${root}', ${what}; build it there, or pass -DTFLM_LIBRARY=<file>")
  elseif(count GREATER 1)
    list(JOIN found ", " words)
    _tflm_build_error("TFLM" "TFLM_ROOT got '${root}', which has ${words}; pass -DTFLM_LIBRARY=<one of them>")
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Compile what links a library with or without TF_LITE_STATIC_MEMORY, as the library was: it changes TFLM's structures.
#
# A library that was compiled without it has functions that free memory.
function(_tflm_build_match_memory library headers result)
  set(${result} "" PARENT_SCOPE)
  if(NOT CMAKE_NM)
    return() # as with Microsoft's tools: the project defines it where the library was compiled so
  endif()
  set(header "${headers}/tensorflow/lite/core/c/common.h")
  if(EXISTS "${header}")
    file(STRINGS "${header}" lines REGEX "TF_LITE_STATIC_MEMORY" LIMIT_COUNT 1)
    if(NOT lines)
      return() # newer versions do not have it
    endif()
  endif()
  set(options --defined-only)
  if(library MATCHES "${CMAKE_SHARED_LIBRARY_SUFFIX}$")
    list(APPEND options --dynamic)
  endif()
  execute_process(
    COMMAND "${CMAKE_NM}" ${options} "${library}"
    OUTPUT_VARIABLE symbols
    ERROR_VARIABLE words
    RESULT_VARIABLE code
  )
  if(NOT code EQUAL 0)
    set(remedy "check that ${library} is for this toolchain")
    _tflm_build_error("TFLM" "TFLM_ROOT has a library that ${CMAKE_NM} cannot read; got: ${words}; ${remedy}")
  endif()
  get_directory_property(definitions COMPILE_DEFINITIONS)
  list(TRANSFORM definitions REPLACE "=.*$" "")
  if(NOT symbols MATCHES "TfLite(Micro)?QuantizationFree")
    target_compile_definitions(tflm_build_tflm INTERFACE TF_LITE_STATIC_MEMORY)
    set(${result} ", with TF_LITE_STATIC_MEMORY" PARENT_SCOPE)
  elseif("TF_LITE_STATIC_MEMORY" IN_LIST definitions)
    set(what "TF_LITE_STATIC_MEMORY is defined here, but ${library} was compiled without it")
    _tflm_build_error("TFLM" "${what}; it changes TFLM's structures; do not define it, or compile the library with it")
  else()
    set(${result} ", without TF_LITE_STATIC_MEMORY" PARENT_SCOPE)
  endif()
endfunction()

# Say in which namespace TFLM's classes are: they have moved. A vendor's own stands for `tflite` in what links TFLM.
function(_tflm_build_use_namespace headers result)
  file(STRINGS "${headers}/tensorflow/lite/micro/micro_interpreter.h" lines REGEX "^namespace ")
  list(TRANSFORM lines REPLACE "^namespace +([A-Za-z_:]+).*" "\\1")
  list(JOIN lines "::" name)
  list(GET lines 0 outermost)
  if(NOT outermost STREQUAL "tflite")
    target_compile_definitions(tflm_build_tflm INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:tflite=${outermost}>")
  endif()
  set(${result} "namespace ${name}" PARENT_SCOPE)
endfunction()
