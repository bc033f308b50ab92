# SPDX-License-Identifier: Apache-2.0
# Add the runtime that emitted code and applications call.

# Stop if the project has no C.
function(_tflm_build_check_languages)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(NOT "C" IN_LIST languages)
    _tflm_build_error("find_package" "the emitted code is C; got the languages ${languages}; add C to project()")
  endif()
endfunction()

# Return the target of the runtime with a backend, native, host or none; made when it is first asked for.
#
# That of the build is tflm_build_runtime, with the alias tflm_build::runtime. A test may ask for another one.
function(_tflm_build_runtime backend result)
  _tflm_build_find_tflm(chosen)
  set(target tflm_build_runtime)
  if(NOT backend STREQUAL chosen)
    set(target tflm_build_runtime_${backend})
  endif()
  set(${result} ${target} PARENT_SCOPE)
  if(TARGET ${target})
    return()
  endif()

  _tflm_build_root(root)
  set(sources "${root}/runtime/src")
  add_library(${target} STATIC EXCLUDE_FROM_ALL "${sources}/check.c")
  target_compile_features(${target} PUBLIC c_std_99)
  set(include "$<BUILD_INTERFACE:${root}/runtime/include>")
  target_include_directories(${target} PUBLIC "${include}" "$<INSTALL_INTERFACE:include>")
  if(backend STREQUAL "native")
    target_sources(${target} PRIVATE "${sources}/model.c" "${sources}/native.cc")
    target_link_libraries(${target} PUBLIC tflm_build::tflm)
    _tflm_build_compile_as_tflm(${target})
  elseif(backend STREQUAL "host")
    target_sources(${target} PRIVATE "${sources}/model.c" "${sources}/host.c" "${sources}/host_process.c")
    # This interpreter is started; the environment variable of the same name overrides it at run time.
    target_compile_definitions(${target} PRIVATE "TFLM_BUILD_PYTHON=\"${TFLM_BUILD_PYTHON}\"")
    if(TFLM_BUILD_PYTHONPATH)
      target_compile_definitions(${target} PRIVATE "TFLM_BUILD_PYTHONPATH=\"${TFLM_BUILD_PYTHONPATH}\"")
    endif()
  else()
    target_sources(${target} PRIVATE "${sources}/no_backend.c") # linked where tflm_open() is called: an error
  endif()
  _tflm_build_keep_apart(${target})
  if(target STREQUAL "tflm_build_runtime")
    add_library(tflm_build::runtime ALIAS ${target})
  endif()
endfunction()

# Stop where the helper of the host backend cannot run.
function(_tflm_build_refuse_host name what)
  if(WIN32)
    set(remedy "link a TFLM, pass TFLM_PROVIDER none, or build in WSL")
    _tflm_build_error("${name}" "${what} runs on Linux and macOS; got Windows; ${remedy}")
  endif()
endfunction()

# Return the backend of a test: what BACKEND says, or that of the build.
function(_tflm_build_test_backend name wanted result)
  _tflm_build_find_tflm(chosen)
  set(allowed "" native host)
  if(NOT wanted IN_LIST allowed)
    _tflm_build_error("${name}" "BACKEND got '${wanted}'; allowed: native, host")
  elseif(wanted STREQUAL "host")
    _tflm_build_refuse_host("${name}" "BACKEND host")
  elseif(wanted STREQUAL "native" AND NOT chosen STREQUAL "native")
    set(remedy "pass -DTFLM_ROOT=<folder>, or another TFLM_PROVIDER")
    _tflm_build_error("${name}" "BACKEND native needs a TFLM to link; got none; ${remedy}")
  elseif(wanted STREQUAL "" AND chosen STREQUAL "none")
    set(remedy "pass BACKEND host where the program runs on this machine, or -DTFLM_ROOT=<folder>")
    _tflm_build_error("${name}" "tflm_add_model_test needs something that runs the model; got TFLM_PROVIDER none; ${remedy}")
  elseif(wanted STREQUAL "")
    set(wanted "${chosen}")
  endif()
  set(${result} "${wanted}" PARENT_SCOPE)
endfunction()
