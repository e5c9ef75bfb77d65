/*
 * The words that survive a reset of the processor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_SYSTEM_RETAINED_H
#define THECAL_SYSTEM_RETAINED_H

#include <stdint.h>

/* What is there; the CRC is over all that stands before it. */
struct thecal_retained {
	uint32_t magic; /* THECAL_RETAINED_MAGIC; another number, another layout */
	uint32_t reason;
	uint32_t program_counter;
	uint32_t crc;
};

#define THECAL_RETAINED_MAGIC 0x54684331u /* "ThC1" */

/* The memory, or NULL where there is none (yet). */
volatile struct thecal_retained *thecal_retained(void);

#endif /* THECAL_SYSTEM_RETAINED_H */
