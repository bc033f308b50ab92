/* SPDX-License-Identifier: Apache-2.0 */
/* From reset to main(), on a Cortex-M3 whose semihosting calls are answered by QEMU or by a debugger. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The emulator's exit status after a fault; main() returns smaller ones. */
#define FAULT_STATUS 99

/* Set by the linker script. */
extern unsigned char data_start[], data_end[], bss_start[], bss_end[];
extern const unsigned char data_in_flash[], stack_top[];

/* Of newlib. */
void initialise_monitor_handles(void);
void __libc_init_array(void);
void _init(void);
void _fini(void);

int main(void);
_Noreturn void reset_handler(void);

/* newlib calls these two around the constructors and destructors of C++; there is nothing else to do. */
void _init(void) {}
void _fini(void) {}

static void semihosting(uintptr_t operation, const void *argument) {
  register uintptr_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

/* Any exception: this program enables no interrupt, so it is a fault. Nothing of newlib may be trusted any more. */
static _Noreturn void fault_handler(void) {
  enum { sys_write0 = 0x04, sys_exit_extended = 0x20, application_exit = 0x20026 };
  static const uintptr_t reason[] = {application_exit, FAULT_STATUS};
  semihosting(sys_write0, "fault\n");
  semihosting(sys_exit_extended, reason);
  for (;;) {
  }
}

_Noreturn void reset_handler(void) {
  memcpy(data_start, data_in_flash, (size_t)(data_end - data_start));
  memset(bss_start, 0, (size_t)(bss_end - bss_start));
  initialise_monitor_handles();
  __libc_init_array();
  exit(main());
}

/* What the processor reads at address 0: its first stack pointer, where it goes on reset, and on exceptions 2 to 15. */
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    (uintptr_t)stack_top,
    (uintptr_t)reset_handler,
    (uintptr_t)fault_handler, /* not maskable */
    (uintptr_t)fault_handler, /* hard fault; the faults below become this one unless they are enabled */
    (uintptr_t)fault_handler, /* memory management */
    (uintptr_t)fault_handler, /* bus */
    (uintptr_t)fault_handler, /* usage */
    0,
    0,
    0,
    0,
    (uintptr_t)fault_handler, /* supervisor call */
    (uintptr_t)fault_handler, /* debug monitor */
    0,
    (uintptr_t)fault_handler, /* pendable service */
    (uintptr_t)fault_handler, /* system tick */
};
