/*
 * The memory that survives a reset of the processor, and how it is divided.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_SYSTEM_RETAINED_H
#define THECAL_SYSTEM_RETAINED_H

#include <stdint.h>

#include <thecal/retained.h>

/* Why the firmware reset itself; the CRC is over all that stands before it. */
struct thecal_retained_fatal {
	uint32_t magic; /* THECAL_RETAINED_FATAL_MAGIC; another number, another layout */
	uint32_t reason;
	uint32_t program_counter;
	uint32_t crc;
};

#define THECAL_RETAINED_FATAL_MAGIC 0x54684331u /* "ThC1" */

/* One of the two copies that are written in turn; the CRC is over all that stands before it, also over bytes that are not used. */
struct thecal_retained_slot {
	uint32_t magic;    /* THECAL_RETAINED_SLOT_MAGIC; 0 while it is written */
	uint32_t sequence; /* one more with each write */
	uint32_t length;
	uint8_t bytes[THECAL_RETAINED_BYTES];
	uint32_t crc;
};
_Static_assert(sizeof(struct thecal_retained_slot) == 16 + THECAL_RETAINED_BYTES, "no gaps that nobody writes");

#define THECAL_RETAINED_HISTORY_WORDS (sizeof(struct thecal_interlock_history) / sizeof(uint32_t))

/* Likewise, for the interlock's history. */
struct thecal_retained_history {
	uint32_t magic; /* THECAL_RETAINED_HISTORY_MAGIC; 0 while it is written */
	uint32_t sequence;
	uint32_t words[THECAL_RETAINED_HISTORY_WORDS];
	uint32_t crc;
};

#define THECAL_RETAINED_HISTORY_MAGIC 0x54684831u /* "ThH1" */

#define THECAL_RETAINED_SLOT_MAGIC 0x54685331u /* "ThS1" */
#define THECAL_RETAINED_SLOTS      2u

/* What is there. */
struct thecal_retained_memory {
	struct thecal_retained_fatal fatal;
	struct thecal_retained_slot slots[THECAL_RETAINED_SLOTS];
	struct thecal_retained_history histories[THECAL_RETAINED_SLOTS];
};

/* The memory, or NULL where there is none (yet). */
volatile struct thecal_retained_memory *thecal_retained_memory(void);

#endif /* THECAL_SYSTEM_RETAINED_H */
