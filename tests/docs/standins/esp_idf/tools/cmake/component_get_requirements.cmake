# SPDX-License-Identifier: Apache-2.0
# A stand-in for the scan: a component's file is read as a script, in which nothing can be built.
set(CMAKE_BUILD_EARLY_EXPANSION 1)

macro(idf_component_register)
  return()
endmacro()

include("${COMPONENT}/CMakeLists.txt")
