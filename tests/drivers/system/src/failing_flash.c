/*
 * A flash in memory that fails when told to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "failing_flash.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <zephyr/device.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/sys/util.h>

#define WORD 4
#define PAGE 4096

struct failing_flash failing_flash;

static const struct flash_parameters parameters = {.write_block_size = WORD, .erase_value = 0xff};
static const struct flash_pages_layout layout = {.pages_count = FLASH_BYTES / PAGE, .pages_size = PAGE};

void failing_flash_reset(void)
{
	memset(&failing_flash, 0, sizeof(failing_flash));
	memset(failing_flash.bytes, 0xff, sizeof(failing_flash.bytes));
}

static bool fails(void)
{
	if (failing_flash.failures == 0) {
		return false;
	}
	failing_flash.failures -= 1;
	return true;
}

static int flash_in_memory_read(const struct device *device, off_t offset, void *data, size_t length)
{
	ARG_UNUSED(device);
	memcpy(data, &failing_flash.bytes[offset], length);
	return 0;
}

static int flash_in_memory_write(const struct device *device, off_t offset, const void *data, size_t length)
{
	const bool failing = fails();
	const size_t done = failing ? MIN(failing_flash.written_before_failure, length) : length;
	const uint8_t *const bytes = data;

	ARG_UNUSED(device);
	failing_flash.writes += 1;
	for (size_t at = 0; at < done; at++) {
		if (at % WORD == 0) {
			uint8_t blank[WORD];

			memset(blank, 0xff, sizeof(blank));
			failing_flash.doubled_words += memcmp(&failing_flash.bytes[offset + at], blank, WORD) != 0;
		}
		failing_flash.bytes[offset + at] &= bytes[at];
	}
	return failing ? failing_flash.error : 0;
}

static int flash_in_memory_erase(const struct device *device, off_t offset, size_t length)
{
	ARG_UNUSED(device);
	failing_flash.erases += 1;
	if (fails()) {
		return failing_flash.error;
	}
	memset(&failing_flash.bytes[offset], 0xff, length);
	return 0;
}

static const struct flash_parameters *flash_in_memory_parameters(const struct device *device)
{
	ARG_UNUSED(device);
	return &parameters;
}

static void flash_in_memory_layout(const struct device *device, const struct flash_pages_layout **pages, size_t *count)
{
	ARG_UNUSED(device);
	*pages = &layout;
	*count = 1;
}

static DEVICE_API(flash, flash_in_memory_api) = {
	.read = flash_in_memory_read,
	.write = flash_in_memory_write,
	.erase = flash_in_memory_erase,
	.get_parameters = flash_in_memory_parameters,
	.page_layout = flash_in_memory_layout,
};

DEVICE_DT_DEFINE(DT_NODELABEL(flashcontroller0), NULL, NULL, NULL, NULL, POST_KERNEL, CONFIG_FLASH_INIT_PRIORITY,
		 &flash_in_memory_api);
