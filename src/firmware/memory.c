/*
 * How Rust's code copies and clears memory on Arm: with the C library's functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rust's own, which are there if nobody else's are, are made for speed and take 2.5 KB.
 */
#include <stddef.h>
#include <string.h>

#include <zephyr/toolchain.h>

/* Names and arguments are the Arm run-time ABI's; those of memset are the other way round. 4 and 8 promise alignment, which changes nothing. */
#define ALSO(name, of, ...) void name(__VA_ARGS__) __attribute__((alias(#of), used))

void __used __aeabi_memcpy(void *to, const void *from, size_t length)
{
	(void)memcpy(to, from, length);
}

ALSO(__aeabi_memcpy4, __aeabi_memcpy, void *to, const void *from, size_t length);
ALSO(__aeabi_memcpy8, __aeabi_memcpy, void *to, const void *from, size_t length);

void __used __aeabi_memmove(void *to, const void *from, size_t length)
{
	(void)memmove(to, from, length);
}

ALSO(__aeabi_memmove4, __aeabi_memmove, void *to, const void *from, size_t length);
ALSO(__aeabi_memmove8, __aeabi_memmove, void *to, const void *from, size_t length);

void __used __aeabi_memset(void *to, size_t length, int byte)
{
	(void)memset(to, byte, length);
}

ALSO(__aeabi_memset4, __aeabi_memset, void *to, size_t length, int byte);
ALSO(__aeabi_memset8, __aeabi_memset, void *to, size_t length, int byte);

void __used __aeabi_memclr(void *to, size_t length)
{
	(void)memset(to, 0, length);
}

ALSO(__aeabi_memclr4, __aeabi_memclr, void *to, size_t length);
ALSO(__aeabi_memclr8, __aeabi_memclr, void *to, size_t length);
