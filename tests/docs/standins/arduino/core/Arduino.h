/* SPDX-License-Identifier: Apache-2.0 */
/* What a sketch finds on a board: here its monitor is standard output. */
#ifndef ARDUINO_H_
#define ARDUINO_H_

#include <stdint.h>
#include <stdio.h>

struct Monitor {
  void begin(unsigned long) {}
  void println(const char *text) { printf("%s\n", text); }
  void println(unsigned long number) { printf("%lu\n", number); }
};

static Monitor Serial;

static inline unsigned long micros(void) {
  static unsigned long now = 0;
  return ++now;
}
static inline void delay(unsigned long) {}

void setup(void);
void loop(void);

int main(void) {
  setup();
  loop();
}

#endif /* ARDUINO_H_ */
