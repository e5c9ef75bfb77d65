/*
 * The partitions of the journal, and the production line's page, over Zephyr's flash interface.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * No log format here. Every argument is checked, because a wrong offset would be somebody else's partition.
 */
#include <thecal/fault.h>
#include <thecal/flash.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <zephyr/device.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/kernel.h>
#include <zephyr/logging/log.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/sys/util.h>

LOG_MODULE_REGISTER(thecal_flash, CONFIG_THECAL_FLASH_LOG_LEVEL);

#if !FIXED_PARTITION_EXISTS(journal) || !FIXED_PARTITION_EXISTS(critical) || !FIXED_PARTITION_EXISTS(state_a) || \
	!FIXED_PARTITION_EXISTS(state_b) || !FIXED_PARTITION_EXISTS(pack)
#error "The device tree lacks a partition: node labels journal, critical, state_a, state_b and pack are needed."
#endif

struct partition {
	const struct device *device;
	uint32_t offset;
	uint32_t size;
};

#define PARTITION(label)                                                                                               \
	{                                                                                                              \
		.device = FIXED_PARTITION_DEVICE(label), .offset = FIXED_PARTITION_OFFSET(label),                      \
		.size = FIXED_PARTITION_SIZE(label),                                                                   \
	}

static const struct partition partitions[] = {
	[THECAL_FLASH_JOURNAL] = PARTITION(journal),
	[THECAL_FLASH_CRITICAL] = PARTITION(critical),
	[THECAL_FLASH_STATE_A] = PARTITION(state_a),
	[THECAL_FLASH_STATE_B] = PARTITION(state_b),
	[THECAL_FLASH_PACK] = PARTITION(pack),
};

/* Whether thecal_flash_start() has found everything in order. */
static bool started;

static int32_t check_geometry(const struct partition *partition)
{
	const uint32_t end = partition->offset + partition->size;
	struct flash_pages_info page;
	uint32_t at;

	if (!device_is_ready(partition->device)) {
		return -ENODEV;
	}
	if (flash_get_write_block_size(partition->device) != THECAL_FLASH_WORD_BYTES) {
		return -ENOTSUP;
	}
	for (at = partition->offset; at < end; at += THECAL_FLASH_PAGE_BYTES) {
		if (flash_get_page_info_by_offs(partition->device, (off_t)at, &page) != 0 ||
		    page.start_offset != (off_t)at || page.size != THECAL_FLASH_PAGE_BYTES) {
			return -ENOTSUP;
		}
	}
	return at == end ? 0 : -ENOTSUP;
}

int32_t thecal_flash_start(void)
{
	for (uint32_t number = 0; number < ARRAY_SIZE(partitions); number++) {
		const int32_t result = check_geometry(&partitions[number]);

		if (result != 0) {
			LOG_ERR("partition %u cannot be used (%d)", number, result);
			return result;
		}
	}
	started = true;
	return 0;
}

int32_t thecal_flash_size(uint32_t partition)
{
	if (partition >= ARRAY_SIZE(partitions)) {
		return -EINVAL;
	}
	return (int32_t)partitions[partition].size;
}

/* The partition, if the range lies within it; NULL otherwise. */
static const struct partition *find(uint32_t number, uint32_t offset, uint32_t length)
{
	if (!started || number >= ARRAY_SIZE(partitions)) {
		return NULL;
	}
	if (offset > partitions[number].size || length > partitions[number].size - offset) {
		return NULL;
	}
	return &partitions[number];
}

/* Results that only mean: no gap between radio events was found in time. */
static bool may_pass(int result)
{
	return result == -ETIMEDOUT || result == -EAGAIN || result == -EBUSY;
}

int32_t thecal_flash_read(uint32_t partition, uint32_t offset, uint8_t *bytes, uint32_t length)
{
	const struct partition *found = find(partition, offset, length);
	int result = -EINVAL;

	if (found == NULL) {
		return -EINVAL;
	}
	for (uint32_t attempt = 0; attempt < CONFIG_THECAL_FLASH_ATTEMPTS; attempt++) {
		result = flash_read(found->device, (off_t)(found->offset + offset), bytes, length);
		if (!may_pass(result)) {
			break;
		}
		k_msleep(CONFIG_THECAL_FLASH_PAUSE_MS);
	}
	return result;
}

/*
 * How many leading bytes are on flash already. A word may be programmed once only between two erases, so an attempt that broke
 * off is continued, never repeated. -EIO when the next word holds zeros where ones are wanted.
 */
static int32_t already_written(const struct partition *partition, uint32_t offset, const uint8_t *bytes, uint32_t length)
{
	uint32_t done;

	for (done = 0; done < length; done += THECAL_FLASH_WORD_BYTES) {
		uint8_t word[THECAL_FLASH_WORD_BYTES];
		const int result = flash_read(partition->device, (off_t)(partition->offset + offset + done), word,
					      sizeof(word));

		if (result != 0) {
			return result;
		}
		if (memcmp(word, &bytes[done], sizeof(word)) == 0) {
			continue;
		}
		for (uint32_t byte = 0; byte < sizeof(word); byte++) {
			if ((word[byte] & bytes[done + byte]) != bytes[done + byte]) {
				return -EIO;
			}
		}
		break;
	}
	return (int32_t)done;
}

int32_t thecal_flash_write(uint32_t partition, uint32_t offset, const uint8_t *bytes, uint32_t length)
{
	const struct partition *found = find(partition, offset, length);
	uint32_t done = 0;
	int result = 0;

	if (found == NULL || offset % THECAL_FLASH_WORD_BYTES != 0 || length % THECAL_FLASH_WORD_BYTES != 0) {
		return -EINVAL;
	}
#ifdef CONFIG_THECAL_FAULT_INJECTION
	thecal_fault_flash_write(found->offset + offset, bytes, length);
#endif
	for (uint32_t attempt = 0; attempt < CONFIG_THECAL_FLASH_ATTEMPTS && done < length; attempt++) {
		if (attempt > 0) {
			int32_t leading;

			k_msleep(CONFIG_THECAL_FLASH_PAUSE_MS);
			leading = already_written(found, offset + done, &bytes[done], length - done);
			if (leading < 0) {
				return leading;
			}
			done += (uint32_t)leading;
			result = 0;
			if (done == length) {
				break;
			}
		}
		result = flash_write(found->device, (off_t)(found->offset + offset + done), &bytes[done], length - done);
		if (!may_pass(result)) {
			break;
		}
	}
	return result;
}

int32_t thecal_flash_erase(uint32_t partition, uint32_t offset, uint32_t length)
{
	const struct partition *found = find(partition, offset, length);
	int result = -EINVAL;

	if (found == NULL || offset % THECAL_FLASH_PAGE_BYTES != 0 || length % THECAL_FLASH_PAGE_BYTES != 0) {
		return -EINVAL;
	}
	if (length == 0) {
		return 0;
	}
#ifdef CONFIG_THECAL_FAULT_INJECTION
	if (thecal_fault_flash_erase(found->offset + offset, length) == THECAL_FAULT_FLASH_ERASED) {
		return 0;
	}
#endif
	for (uint32_t attempt = 0; attempt < CONFIG_THECAL_FLASH_ATTEMPTS; attempt++) {
		result = flash_erase(found->device, (off_t)(found->offset + offset), length);
		if (!may_pass(result)) {
			break;
		}
		k_msleep(CONFIG_THECAL_FLASH_PAUSE_MS);
	}
	return result;
}
