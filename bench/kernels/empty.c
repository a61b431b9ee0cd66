/* SPDX-License-Identifier: MIT */
/* The program that does nothing: what it costs to start a process. No main.c. */
int main(void) { return 0; }
