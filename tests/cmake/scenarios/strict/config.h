/* SPDX-License-Identifier: Apache-2.0 */
/* What this project includes in all its files; an assembler would not understand it. */
typedef int strict_config;
