/* SPDX-License-Identifier: MIT */
/* Waiting on a word of memory: what spin-then-sleep barriers are made of. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

/* Sleeps while *word == expected, until os_wake_all(word); may return early for no reason. */
void os_wait_on(atomic_uint *word, unsigned expected);
/* Wakes everyone who sleeps on the word. */
void os_wake_all(atomic_uint *word);
/* Tells the CPU that this is a spin loop. */
void os_cpu_relax(void);
