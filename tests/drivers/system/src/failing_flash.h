/*
 * A flash in memory that fails when told to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FAILING_FLASH_H
#define FAILING_FLASH_H

#include <stdint.h>

#define FLASH_BYTES (1024 * 1024)

extern struct failing_flash {
	uint8_t bytes[FLASH_BYTES];
	/* The next calls of each kind fail with this errno, so many of them. */
	int error;
	uint32_t failures;
	/* A write that fails has written so many bytes. */
	uint32_t written_before_failure;
	/* Calls seen. */
	uint32_t writes;
	uint32_t erases;
	/* Words that were programmed a second time. */
	uint32_t doubled_words;
} failing_flash;

/* Blank, without failures. */
void failing_flash_reset(void);

#endif /* FAILING_FLASH_H */
