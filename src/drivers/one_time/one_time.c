/*
 * The one-time memory: the device tree's chosen thecal,one-time.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * On the nRF52 it is the 32 CUSTOMER registers of the UICR, which nothing but an erase of the whole UICR or of the whole chip clears, and
 * the firmware has neither. The words around them (the boot loader's, the reset pin's, the read-back protection's) are out of reach here.
 * On native_sim it is a partition behind the chip's own megabyte.
 */
#include <thecal/one_time.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/util.h>

#define ONE_TIME DT_CHOSEN(thecal_one_time)

#if !DT_NODE_EXISTS(ONE_TIME)
#error "The device tree has no chosen thecal,one-time."
#endif

#if DT_NODE_HAS_COMPAT(ONE_TIME, nordic_nrf_uicr)

#include <soc.h>

#define CONTROLLER DT_CHOSEN(zephyr_flash_controller)
#define OFFSET     (DT_REG_ADDR(ONE_TIME) + offsetof(NRF_UICR_Type, CUSTOMER))

BUILD_ASSERT(SIZEOF_FIELD(NRF_UICR_Type, CUSTOMER) == THECAL_ONE_TIME_BYTES, "all of the customer registers, and nothing else");

#else

#define CONTROLLER DT_GPARENT(DT_PARENT(ONE_TIME))
#define OFFSET     DT_REG_ADDR(ONE_TIME)

BUILD_ASSERT(DT_REG_SIZE(ONE_TIME) >= THECAL_ONE_TIME_BYTES, "thecal,one-time is too small");

#endif

static const struct device *const flash = DEVICE_DT_GET(CONTROLLER);

/* Results that only mean: no gap between radio events was found in time. */
static bool may_pass(int result)
{
	return result == -ETIMEDOUT || result == -EAGAIN || result == -EBUSY;
}

static bool is_word(const uint8_t *bytes, const uint8_t *wanted)
{
	return memcmp(bytes, wanted, THECAL_ONE_TIME_WORD_BYTES) == 0;
}

static int read_word(uint32_t at, uint8_t *word)
{
	return flash_read(flash, (off_t)(OFFSET + at), word, THECAL_ONE_TIME_WORD_BYTES);
}

int32_t thecal_one_time_read(uint8_t *bytes, uint32_t length)
{
	if (length > THECAL_ONE_TIME_BYTES) {
		return -EINVAL;
	}
	if (!device_is_ready(flash)) {
		return -ENODEV;
	}
	return length == 0 ? 0 : flash_read(flash, (off_t)OFFSET, bytes, length);
}

/* A word may be programmed a few times only, so one that a broken-off attempt has written after all is not written again. */
static int write_word(uint32_t at, const uint8_t *bytes)
{
	uint8_t there[THECAL_ONE_TIME_WORD_BYTES];
	int result = 0;

	for (uint32_t attempt = 0; attempt < CONFIG_THECAL_FLASH_ATTEMPTS; attempt++) {
		result = read_word(at, there);
		if (result != 0 || is_word(there, bytes)) {
			return result;
		}
		result = flash_write(flash, (off_t)(OFFSET + at), bytes, THECAL_ONE_TIME_WORD_BYTES);
		if (!may_pass(result)) {
			break;
		}
		k_msleep(CONFIG_THECAL_FLASH_PAUSE_MS);
	}
	return result;
}

int32_t thecal_one_time_write(const uint8_t *bytes, uint32_t length)
{
	uint8_t erased[THECAL_ONE_TIME_WORD_BYTES];
	uint8_t there[THECAL_ONE_TIME_WORD_BYTES];
	int result;

	if (length > THECAL_ONE_TIME_BYTES || length % THECAL_ONE_TIME_WORD_BYTES != 0) {
		return -EINVAL;
	}
	if (!device_is_ready(flash)) {
		return -ENODEV;
	}
	memset(erased, THECAL_ONE_TIME_ERASED, sizeof(erased));
	for (uint32_t at = 0; at < length; at += THECAL_ONE_TIME_WORD_BYTES) {
		result = read_word(at, there);
		if (result != 0) {
			return result;
		}
		if (!is_word(there, erased)) {
			return -EALREADY;
		}
	}
	for (uint32_t at = 0; at < length; at += THECAL_ONE_TIME_WORD_BYTES) {
		result = write_word(at, &bytes[at]);
		if (result != 0) {
			return result;
		}
	}
	for (uint32_t at = 0; at < length; at += THECAL_ONE_TIME_WORD_BYTES) {
		result = read_word(at, there);
		if (result != 0) {
			return result;
		}
		if (!is_word(there, &bytes[at])) {
			return -EIO;
		}
	}
	return 0;
}
