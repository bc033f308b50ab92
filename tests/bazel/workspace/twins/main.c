/* SPDX-License-Identifier: Apache-2.0 */
int check_m(void);
int check_n(void);

int main(void) { return check_m() + check_n(); }
