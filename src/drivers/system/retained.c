/*
 * The retained memory: the device tree's chosen thecal,retained. First the words of a fatal error (reset.c), then two slots for bytes.
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

/* Words of a slot behind its magic. */
#define SLOT_WORDS (sizeof(struct thecal_retained_slot) / sizeof(uint32_t) - 1)

BUILD_ASSERT(offsetof(struct thecal_retained_slot, magic) == 0, "the magic is written first and last");
BUILD_ASSERT(sizeof(struct thecal_retained_slot) % sizeof(uint32_t) == 0, "slots are whole words");

static uint32_t crc_of(const struct thecal_retained_slot *slot)
{
	return crc32_ieee((const uint8_t *)slot, offsetof(struct thecal_retained_slot, crc));
}

/* Copies a slot out; whether it is whole. */
static bool take(volatile struct thecal_retained_memory *memory, uint32_t number, struct thecal_retained_slot *slot)
{
	volatile const uint32_t *const from = (volatile const uint32_t *)&memory->slots[number];
	uint32_t *const to = (uint32_t *)slot;

	for (uint32_t word = 0; word <= SLOT_WORDS; word++) {
		to[word] = from[word];
	}
	return slot->magic == THECAL_RETAINED_SLOT_MAGIC && slot->length <= THECAL_RETAINED_BYTES && slot->crc == crc_of(slot);
}

/*
 * Copies the newest whole slot out. Its number, or THECAL_RETAINED_SLOTS when neither is whole.
 *
 * Looked for each time instead of remembered: a slot that was damaged meanwhile must not count as the newest, or the next write would
 * be made over the only whole one. Usually it costs one CRC.
 */
static uint32_t take_newest(volatile struct thecal_retained_memory *memory, struct thecal_retained_slot *slot)
{
	/* Sequences go round; the difference says which is ahead. If one of them is damaged, so is its slot, and the other is taken. */
	const uint32_t ahead = memory->slots[1].sequence - memory->slots[0].sequence;
	const uint32_t first = ahead - 1u < INT32_MAX ? 1u : 0u;

	if (take(memory, first, slot)) {
		return first;
	}
	return take(memory, 1u - first, slot) ? 1u - first : THECAL_RETAINED_SLOTS;
}

int32_t thecal_retained_write(const uint8_t *bytes, uint32_t length)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();
	struct thecal_retained_slot slot;
	uint32_t newest;
	volatile uint32_t *to;
	const uint32_t *from;

	if (length > THECAL_RETAINED_BYTES) {
		return -EINVAL;
	}
	if (memory == NULL) {
		return -ENODEV;
	}
	newest = take_newest(memory, &slot);
	if (newest == THECAL_RETAINED_SLOTS) {
		slot.sequence = 0u;
		newest = 1u;
	}
	slot.magic = THECAL_RETAINED_SLOT_MAGIC;
	slot.sequence += 1u;
	slot.length = length;
	memcpy(slot.bytes, bytes, length);
	memset(&slot.bytes[length], 0, THECAL_RETAINED_BYTES - length);
	slot.crc = crc_of(&slot);

	/* Not whole until its last word is there; volatile accesses keep their order. */
	to = (volatile uint32_t *)&memory->slots[1u - newest];
	from = (const uint32_t *)&slot;
	to[0] = 0u;
	for (uint32_t word = 1u; word <= SLOT_WORDS; word++) {
		to[word] = from[word];
	}
	to[0] = from[0];
	return 0;
}

int32_t thecal_retained_read(uint8_t *bytes, uint32_t capacity)
{
	volatile struct thecal_retained_memory *const memory = thecal_retained_memory();
	struct thecal_retained_slot slot;

	if (capacity < THECAL_RETAINED_BYTES) {
		return -EINVAL;
	}
	if (memory == NULL) {
		return -ENODEV;
	}
	if (take_newest(memory, &slot) == THECAL_RETAINED_SLOTS) {
		return -ENODATA;
	}
	memcpy(bytes, slot.bytes, slot.length);
	return (int32_t)slot.length;
}
