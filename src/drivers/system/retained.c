/*
 * The retained memory: the device tree's chosen thecal,retained. First the words of a fatal error (reset.c), then two slots for bytes,
 * then two for the interlock's history.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * On a board that is a piece of RAM which neither this image nor the boot loader uses, so that it keeps its content over a reset. On
 * native_sim, where a reset is a new process, it is a partition of the simulated flash, which is the flash file in memory: written
 * without the flash driver, because a fatal error may have happened inside it.
 */
#include "retained.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <zephyr/devicetree.h>
#include <zephyr/sys/crc.h>
#include <zephyr/sys/util.h>

#define RETAINED DT_CHOSEN(thecal_retained)

#if !DT_NODE_EXISTS(RETAINED)

volatile struct thecal_retained_memory *thecal_retained_memory(void)
{
	return NULL;
}

#elif DT_NODE_HAS_COMPAT(RETAINED, mmio_sram)

BUILD_ASSERT(DT_REG_SIZE(RETAINED) >= sizeof(struct thecal_retained_memory), "thecal,retained is too small");

volatile struct thecal_retained_memory *thecal_retained_memory(void)
{
	return (volatile struct thecal_retained_memory *)DT_REG_ADDR(RETAINED);
}

#else

#include <zephyr/device.h>
#include <zephyr/drivers/flash/flash_simulator.h>

#define CONTROLLER DT_GPARENT(DT_PARENT(RETAINED))

BUILD_ASSERT(DT_REG_SIZE(RETAINED) >= sizeof(struct thecal_retained_memory), "thecal,retained is too small");

volatile struct thecal_retained_memory *thecal_retained_memory(void)
{
	const struct device *const flash = DEVICE_DT_GET(CONTROLLER);
	size_t size = 0;
	uint8_t *memory;

	if (!device_is_ready(flash)) {
		return NULL;
	}
	memory = flash_simulator_get_memory(flash, &size);
	if (memory == NULL || size < DT_REG_ADDR(RETAINED) + DT_REG_SIZE(RETAINED)) {
		return NULL;
	}
	return (volatile struct thecal_retained_memory *)&memory[DT_REG_ADDR(RETAINED)];
}

#endif

/* A slot of either kind as words: magic, sequence, body, CRC over all before it. */
#define WORDS(slot)  (sizeof(slot) / sizeof(uint32_t))
#define AROUND_BODY  3u
#define BODY_AT      2u

BUILD_ASSERT(offsetof(struct thecal_retained_slot, magic) == 0 && offsetof(struct thecal_retained_history, magic) == 0 &&
		     offsetof(struct thecal_retained_slot, sequence) == 4 && offsetof(struct thecal_retained_history, sequence) == 4,
	     "a slot begins with magic and sequence");
BUILD_ASSERT(offsetof(struct thecal_retained_slot, crc) + 4 == sizeof(struct thecal_retained_slot) &&
		     offsetof(struct thecal_retained_history, crc) + 4 == sizeof(struct thecal_retained_history),
	     "and ends with its CRC");
BUILD_ASSERT(sizeof(struct thecal_retained_slot) % sizeof(uint32_t) == 0, "slots are whole words");

/* Two slots that are written in turn. */
struct pair {
	volatile uint32_t *slots[THECAL_RETAINED_SLOTS];
	uint32_t magic;
	/* Of each slot. */
	uint32_t words;
};

static struct pair bytes_of(volatile struct thecal_retained_memory *memory)
{
	return (struct pair){
		.slots = {(volatile uint32_t *)&memory->slots[0], (volatile uint32_t *)&memory->slots[1]},
		.magic = THECAL_RETAINED_SLOT_MAGIC,
		.words = WORDS(struct thecal_retained_slot),
	};
}

static struct pair histories_of(volatile struct thecal_retained_memory *memory)
{
	return (struct pair){
		.slots = {(volatile uint32_t *)&memory->histories[0], (volatile uint32_t *)&memory->histories[1]},
		.magic = THECAL_RETAINED_HISTORY_MAGIC,
		.words = WORDS(struct thecal_retained_history),
	};
}

static uint32_t crc_with(uint32_t crc, uint32_t word)
{
	return crc32_ieee_update(crc, (const uint8_t *)&word, sizeof(word));
}

static bool whole(const struct pair *pair, uint32_t number)
{
	volatile const uint32_t *const slot = pair->slots[number];
	uint32_t crc = 0u;

	if (slot[0] != pair->magic) {
		return false;
	}
	for (uint32_t word = 0u; word < pair->words - 1u; word++) {
		crc = crc_with(crc, slot[word]);
	}
	return slot[pair->words - 1u] == crc;
}

/*
 * The newest whole slot; THECAL_RETAINED_SLOTS when neither is whole.
 *
 * Looked for each time instead of remembered: a slot that was damaged meanwhile must not count as the newest, or the next write would
 * be made over the only whole one. Usually it costs one CRC.
 */
static uint32_t newest_of(const struct pair *pair)
{
	/* Sequences go round; the difference says which is ahead. If one of them is damaged, so is its slot, and the other is taken. */
	const uint32_t ahead = pair->slots[1][1] - pair->slots[0][1];
	const uint32_t first = ahead - 1u < INT32_MAX ? 1u : 0u;

	if (whole(pair, first)) {
		return first;
	}
	return whole(pair, 1u - first) ? 1u - first : THECAL_RETAINED_SLOTS;
}

/* Writes the body over the older slot. */
static void put(const struct pair *pair, const uint32_t *body)
{
	const uint32_t newest = newest_of(pair);
	const uint32_t sequence = newest == THECAL_RETAINED_SLOTS ? 1u : pair->slots[newest][1] + 1u;
	volatile uint32_t *const to = pair->slots[newest == THECAL_RETAINED_SLOTS ? 0u : 1u - newest];
	uint32_t crc = crc_with(crc_with(0u, pair->magic), sequence);

	/* Not whole until its last word is there; volatile accesses keep their order. */
	to[0] = 0u;
	to[1] = sequence;
	for (uint32_t word = 0u; word < pair->words - AROUND_BODY; word++) {
		to[BODY_AT + word] = body[word];
		crc = crc_with(crc, body[word]);
	}
	to[pair->words - 1u] = crc;
	to[0] = pair->magic;
}

/* Copies the body of a slot out. */
static void take(const struct pair *pair, uint32_t number, uint32_t *body)
{
	for (uint32_t word = 0u; word < pair->words - AROUND_BODY; word++) {
		body[word] = pair->slots[number][BODY_AT + word];
	}
}

/* The body of a slot for bytes. */
struct content {
	uint32_t length;
	uint8_t bytes[THECAL_RETAINED_BYTES];
};
BUILD_ASSERT(sizeof(struct content) == sizeof(struct thecal_retained_slot) - AROUND_BODY * sizeof(uint32_t));
BUILD_ASSERT(offsetof(struct thecal_retained_slot, length) == BODY_AT * sizeof(uint32_t));

int32_t thecal_retained_write(const uint8_t *bytes, uint32_t length)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();
	struct content content = {.length = length};
	struct pair pair;

	if (length > THECAL_RETAINED_BYTES) {
		return -EINVAL;
	}
	if (memory == NULL) {
		return -ENODEV;
	}
	pair = bytes_of(memory);
	memcpy(content.bytes, bytes, length);
	put(&pair, (const uint32_t *)&content);
	return 0;
}

int32_t thecal_retained_read(uint8_t *bytes, uint32_t capacity)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();
	struct content content;
	struct pair pair;
	uint32_t newest;

	if (capacity < THECAL_RETAINED_BYTES) {
		return -EINVAL;
	}
	if (memory == NULL) {
		return -ENODEV;
	}
	pair = bytes_of(memory);
	newest = newest_of(&pair);
	if (newest == THECAL_RETAINED_SLOTS) {
		return -ENODATA;
	}
	take(&pair, newest, (uint32_t *)&content);
	if (content.length > THECAL_RETAINED_BYTES) {
		return -ENODATA;
	}
	memcpy(bytes, content.bytes, content.length);
	return (int32_t)content.length;
}

int32_t thecal_retained_history_write(const struct thecal_interlock_history *history)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();
	struct pair pair;

	if (memory == NULL) {
		return -ENODEV;
	}
	pair = histories_of(memory);
	put(&pair, (const uint32_t *)history);
	return 0;
}

int32_t thecal_retained_history_read(struct thecal_interlock_history *history)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();
	struct pair pair;
	uint32_t newest;

	if (memory == NULL) {
		return -ENODEV;
	}
	pair = histories_of(memory);
	newest = newest_of(&pair);
	if (newest == THECAL_RETAINED_SLOTS) {
		return -ENODATA;
	}
	take(&pair, newest, (uint32_t *)history);
	return 0;
}

void thecal_retained_history_forget(void)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();

	if (memory != NULL) {
		for (uint32_t slot = 0u; slot < THECAL_RETAINED_SLOTS; slot++) {
			memory->histories[slot].magic = 0u;
		}
	}
}
