/*
 * The one-time memory: written once, never again, and nothing else is touched.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

#include <zephyr/device.h>
#include <zephyr/devicetree.h>
#include <zephyr/drivers/flash.h>
#include <zephyr/drivers/flash/flash_simulator.h>
#include <zephyr/stats/stats.h>
#include <zephyr/storage/flash_map.h>
#include <zephyr/ztest.h>

#include <thecal/flash.h>
#include <thecal/one_time.h>

#define CONTROLLER DEVICE_DT_GET(DT_CHOSEN(zephyr_flash_controller))
#define OFFSET     FIXED_PARTITION_OFFSET(one_time)
#define SIZE       FIXED_PARTITION_SIZE(one_time)

static uint8_t bytes[THECAL_ONE_TIME_BYTES];
static uint8_t back[THECAL_ONE_TIME_BYTES];
static uint8_t whole_before[DT_REG_SIZE(DT_CHOSEN(zephyr_flash))];

/* The whole of the flash, as it lies there. */
static uint8_t *flash_bytes(void)
{
	size_t size;
	uint8_t *const memory = flash_simulator_get_memory(CONTROLLER, &size);

	zassert_equal(size, sizeof(whole_before));
	return memory;
}

static int set_threshold(struct stats_hdr *header, void *value, const char *name, uint16_t offset)
{
	if (strcmp(name, "max_write_calls") == 0) {
		*(uint32_t *)((uint8_t *)header + offset) = *(const uint32_t *)value;
	}
	return 0;
}

static int find_calls(struct stats_hdr *header, void *value, const char *name, uint16_t offset)
{
	if (strcmp(name, "flash_write_calls") == 0) {
		*(uint32_t *)value = *(const uint32_t *)((const uint8_t *)header + offset);
	}
	return 0;
}

/* Lets the flash lose every write after so many more of them, and say nothing. */
static void lose_writes_after(uint32_t calls)
{
	uint32_t until = 0;

	(void)stats_walk(stats_group_find("flash_sim_stats"), find_calls, &until);
	/* The call at which the count is reached is the first that is lost. */
	until += calls + 1u;
	(void)stats_walk(stats_group_find("flash_sim_thresholds"), set_threshold, &until);
}

static void lose_no_writes(void)
{
	uint32_t none = 0;

	(void)stats_walk(stats_group_find("flash_sim_thresholds"), set_threshold, &none);
}

static void *start(void)
{
	/* The layout that files and dumps rely on. */
	zassert_equal(OFFSET, 0x101000);
	zassert_equal(SIZE, 4096);
	zassert_ok(thecal_flash_start());
	return NULL;
}

/* A new pump: only here can what was written once be erased. */
static void make_new(void *fixture)
{
	ARG_UNUSED(fixture);
	lose_no_writes();
	memset(&flash_bytes()[OFFSET], THECAL_ONE_TIME_ERASED, SIZE);
	for (uint32_t at = 0; at < sizeof(bytes); at++) {
		bytes[at] = (uint8_t)(at * 3u + 1u);
	}
	memset(back, 0, sizeof(back));
	memcpy(whole_before, flash_bytes(), sizeof(whole_before));
}

ZTEST_SUITE(one_time, NULL, start, make_new, NULL, NULL);

/* Nothing has changed but the first `length` bytes of the memory. */
static void only_changed(uint32_t length)
{
	zassert_mem_equal(flash_bytes(), whole_before, OFFSET, "before it");
	zassert_mem_equal(&flash_bytes()[OFFSET + length], &whole_before[OFFSET + length], sizeof(whole_before) - OFFSET - length,
			  "behind it");
}

ZTEST(one_time, test_a_new_one_reads_as_erased)
{
	zassert_ok(thecal_one_time_read(back, sizeof(back)));
	for (uint32_t at = 0; at < sizeof(back); at++) {
		zassert_equal(back[at], THECAL_ONE_TIME_ERASED);
	}
	zassert_ok(thecal_one_time_read(back, 0u));
}

ZTEST(one_time, test_what_is_written_reads_back_and_nothing_else_is_touched)
{
	for (uint32_t length = 0; length <= THECAL_ONE_TIME_BYTES; length += THECAL_ONE_TIME_WORD_BYTES) {
		make_new(NULL);
		zassert_ok(thecal_one_time_write(bytes, length), "%u", length);
		only_changed(length);
		zassert_ok(thecal_one_time_read(back, sizeof(back)));
		zassert_mem_equal(back, bytes, length);
	}
	/* Any number of bytes can be read. */
	for (uint32_t length = 0; length <= THECAL_ONE_TIME_BYTES; length++) {
		memset(back, 0, sizeof(back));
		zassert_ok(thecal_one_time_read(back, length));
		zassert_mem_equal(back, bytes, length);
	}
}

ZTEST(one_time, test_it_is_written_once)
{
	static const uint8_t zeros[THECAL_ONE_TIME_BYTES];

	zassert_ok(thecal_one_time_write(bytes, 16u));
	memcpy(whole_before, flash_bytes(), sizeof(whole_before));
	zassert_equal(thecal_one_time_write(zeros, sizeof(zeros)), -EALREADY);
	zassert_equal(thecal_one_time_write(zeros, 4u), -EALREADY);
	/* Also the same once more. */
	zassert_equal(thecal_one_time_write(bytes, 16u), -EALREADY);
	only_changed(0u);
}

ZTEST(one_time, test_a_single_bit_anywhere_is_enough_to_refuse)
{
	for (uint32_t bit = 0; bit < 8u * THECAL_ONE_TIME_BYTES; bit++) {
		make_new(NULL);
		flash_bytes()[OFFSET + bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
		memcpy(whole_before, flash_bytes(), sizeof(whole_before));
		zassert_equal(thecal_one_time_write(bytes, sizeof(bytes)), -EALREADY, "bit %u", bit);
		only_changed(0u);
		/* Bytes before it may still be written. */
		zassert_ok(thecal_one_time_write(bytes, bit / 32u * 4u), "bit %u", bit);
	}
}

ZTEST(one_time, test_too_much_and_parts_of_words_are_refused)
{
	static uint8_t more[THECAL_ONE_TIME_BYTES + 4];

	zassert_equal(thecal_one_time_write(more, sizeof(more)), -EINVAL);
	zassert_equal(thecal_one_time_write(more, UINT32_MAX), -EINVAL);
	zassert_equal(thecal_one_time_write(more, UINT32_MAX - 3u), -EINVAL);
	zassert_equal(thecal_one_time_read(more, sizeof(more)), -EINVAL);
	zassert_equal(thecal_one_time_read(more, THECAL_ONE_TIME_BYTES + 1u), -EINVAL);
	for (uint32_t length = 1; length < THECAL_ONE_TIME_BYTES; length++) {
		if (length % THECAL_ONE_TIME_WORD_BYTES != 0) {
			zassert_equal(thecal_one_time_write(bytes, length), -EINVAL, "%u", length);
		}
	}
	only_changed(0u);
}

ZTEST(one_time, test_words_of_ones_need_no_write)
{
	memset(bytes, THECAL_ONE_TIME_ERASED, sizeof(bytes));
	bytes[8] = 0u;
	zassert_ok(thecal_one_time_write(bytes, sizeof(bytes)));
	zassert_ok(thecal_one_time_read(back, sizeof(back)));
	zassert_mem_equal(back, bytes, sizeof(bytes));
}

ZTEST(one_time, test_what_the_flash_did_not_keep_is_an_error)
{
	for (uint32_t kept = 0; kept < THECAL_ONE_TIME_BYTES / THECAL_ONE_TIME_WORD_BYTES; kept++) {
		make_new(NULL);
		lose_writes_after(kept);
		zassert_equal(thecal_one_time_write(bytes, sizeof(bytes)), -EIO, "%u words kept", kept);
		lose_no_writes();
		only_changed(kept * THECAL_ONE_TIME_WORD_BYTES);
	}
}

ZTEST(one_time, test_the_journal_cannot_reach_it)
{
	static const uint32_t partitions[] = {THECAL_FLASH_JOURNAL, THECAL_FLASH_CRITICAL, THECAL_FLASH_STATE_A, THECAL_FLASH_STATE_B,
					    THECAL_FLASH_PACK};

	zassert_ok(thecal_one_time_write(bytes, sizeof(bytes)));
	for (uint32_t number = 0; number < ARRAY_SIZE(partitions); number++) {
		const int32_t size = thecal_flash_size(partitions[number]);

		zassert_ok(thecal_flash_erase(partitions[number], 0u, (uint32_t)size));
		zassert_equal(thecal_flash_erase(partitions[number], (uint32_t)size, THECAL_FLASH_PAGE_BYTES), -EINVAL);
	}
	zassert_ok(thecal_one_time_read(back, sizeof(back)));
	zassert_mem_equal(back, bytes, sizeof(bytes));
}
