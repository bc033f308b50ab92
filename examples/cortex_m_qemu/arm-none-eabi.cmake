# SPDX-License-Identifier: Apache-2.0
# Toolchain file: Arm's GCC with newlib-nano for a Cortex-M3, run by QEMU.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR cortex-m3)

set(CMAKE_C_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
# A program needs the project's own linker script: what CMake compiles to try the compiler is not linked.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)

set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-m3 -mthumb -ffunction-sections -fdata-sections")
set(CMAKE_CXX_FLAGS_INIT "${CMAKE_C_FLAGS_INIT} -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-unwind-tables")
# rdimon is newlib's semihosting: printf() and exit() reach the emulator, or a debugger.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-nostartfiles --specs=nano.specs --specs=rdimon.specs")

# Programs are the host's; libraries, headers and packages are the target's alone.
execute_process(
  COMMAND "${CMAKE_C_COMPILER}" -print-file-name=libc.a
  OUTPUT_VARIABLE libc
  OUTPUT_STRIP_TRAILING_WHITESPACE
)
cmake_path(SET CMAKE_FIND_ROOT_PATH NORMALIZE "${libc}/../..")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# CTest runs programs with it.
set(
  CMAKE_CROSSCOMPILING_EMULATOR
  qemu-system-arm
  -M
  mps2-an385
  -cpu
  cortex-m3
  -nographic
  -monitor
  none
  -serial
  none
  -semihosting-config
  enable=on,target=native
  -kernel
)
