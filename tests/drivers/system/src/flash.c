/*
 * The flash driver: bounds, alignment, results that pass.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "failing_flash.h"

#include <thecal/flash.h>

#include <errno.h>
#include <string.h>

#include <zephyr/ztest.h>

#define JOURNAL_AT 0x8c000
#define ATTEMPTS   3

static const uint8_t text[16] = "sixteen of them";

static void *start(void)
{
	uint8_t byte;

	zassert_equal(thecal_flash_read(THECAL_FLASH_JOURNAL, 0, &byte, 1), -EINVAL, "before it was started");
	zassert_ok(thecal_flash_start());
	return NULL;
}

static void blank(void *unused)
{
	ARG_UNUSED(unused);
	failing_flash_reset();
}

ZTEST_SUITE(flash, NULL, start, blank, NULL, NULL);

ZTEST(flash, test_partitions_have_the_sizes_of_the_design)
{
	zassert_equal(thecal_flash_size(THECAL_FLASH_JOURNAL), 384 * 1024);
	zassert_equal(thecal_flash_size(THECAL_FLASH_CRITICAL), 32 * 1024);
	zassert_equal(thecal_flash_size(THECAL_FLASH_STATE_A), 12 * 1024);
	zassert_equal(thecal_flash_size(THECAL_FLASH_STATE_B), 12 * 1024);
	zassert_equal(thecal_flash_size(THECAL_FLASH_PACK), 4 * 1024);
	zassert_equal(thecal_flash_size(5), -EINVAL);
	zassert_equal(thecal_flash_size(UINT32_MAX), -EINVAL);
}

ZTEST(flash, test_a_partition_begins_where_the_design_says)
{
	static const uint32_t offsets[] = {0x8c000, 0xec000, 0xf4000, 0xf7000, 0xff000};

	for (uint32_t partition = 0; partition < ARRAY_SIZE(offsets); partition++) {
		zassert_ok(thecal_flash_write(partition, 0, text, sizeof(text)));
		zassert_mem_equal(&failing_flash.bytes[offsets[partition]], text, sizeof(text));
	}
}

ZTEST(flash, test_nothing_outside_of_a_partition_is_touched)
{
	const uint32_t size = (uint32_t)thecal_flash_size(THECAL_FLASH_STATE_A);
	uint8_t bytes[8];

	zassert_ok(thecal_flash_read(THECAL_FLASH_STATE_A, size - 8, bytes, 8));
	zassert_equal(thecal_flash_read(THECAL_FLASH_STATE_A, size - 7, bytes, 8), -EINVAL);
	zassert_equal(thecal_flash_read(THECAL_FLASH_STATE_A, UINT32_MAX - 3, bytes, 8), -EINVAL);
	zassert_equal(thecal_flash_write(THECAL_FLASH_STATE_A, size, text, 4), -EINVAL);
	zassert_equal(thecal_flash_write(THECAL_FLASH_STATE_A, size - 4, text, 8), -EINVAL);
	zassert_equal(thecal_flash_erase(THECAL_FLASH_STATE_A, size, 4096), -EINVAL);
	zassert_equal(thecal_flash_erase(THECAL_FLASH_STATE_A, 4096, 12288), -EINVAL);
	zassert_equal(thecal_flash_erase(5, 0, 4096), -EINVAL);
	zassert_equal(failing_flash.writes, 0);
	zassert_equal(failing_flash.erases, 0);
}

ZTEST(flash, test_only_whole_words_and_pages)
{
	zassert_equal(thecal_flash_write(THECAL_FLASH_JOURNAL, 2, text, 4), -EINVAL);
	zassert_equal(thecal_flash_write(THECAL_FLASH_JOURNAL, 0, text, 6), -EINVAL);
	zassert_equal(thecal_flash_erase(THECAL_FLASH_JOURNAL, 4, 4096), -EINVAL);
	zassert_equal(thecal_flash_erase(THECAL_FLASH_JOURNAL, 0, 4), -EINVAL);
	zassert_ok(thecal_flash_write(THECAL_FLASH_JOURNAL, 0, text, 0));
	zassert_ok(thecal_flash_erase(THECAL_FLASH_JOURNAL, 0, 0));
}

ZTEST(flash, test_a_write_that_timed_out_is_continued_and_no_word_programmed_twice)
{
	failing_flash.error = -ETIMEDOUT;
	failing_flash.failures = ATTEMPTS - 1;
	failing_flash.written_before_failure = 4;
	zassert_ok(thecal_flash_write(THECAL_FLASH_JOURNAL, 0, text, sizeof(text)));
	zassert_mem_equal(&failing_flash.bytes[JOURNAL_AT], text, sizeof(text));
	zassert_equal(failing_flash.writes, ATTEMPTS);
	zassert_equal(failing_flash.doubled_words, 0);
}

ZTEST(flash, test_a_write_that_was_finished_but_timed_out_is_done)
{
	failing_flash.error = -EAGAIN;
	failing_flash.failures = 1;
	failing_flash.written_before_failure = sizeof(text);
	zassert_ok(thecal_flash_write(THECAL_FLASH_JOURNAL, 0, text, sizeof(text)));
	zassert_equal(failing_flash.writes, 1);
	zassert_equal(failing_flash.doubled_words, 0);
}

ZTEST(flash, test_a_word_that_holds_something_else_ends_the_retry)
{
	failing_flash.error = -ETIMEDOUT;
	failing_flash.failures = 1;
	failing_flash.bytes[JOURNAL_AT + 4] = 0;
	zassert_equal(thecal_flash_write(THECAL_FLASH_JOURNAL, 4, text, 4), -EIO);
	zassert_equal(failing_flash.writes, 1);
}

ZTEST(flash, test_what_times_out_for_ever_comes_out)
{
	failing_flash.error = -ETIMEDOUT;
	failing_flash.failures = UINT32_MAX;
	zassert_equal(thecal_flash_write(THECAL_FLASH_JOURNAL, 0, text, 4), -ETIMEDOUT);
	zassert_equal(failing_flash.writes, ATTEMPTS);
	zassert_equal(thecal_flash_erase(THECAL_FLASH_JOURNAL, 0, 4096), -ETIMEDOUT);
	zassert_equal(failing_flash.erases, ATTEMPTS);
}

ZTEST(flash, test_a_busy_erase_is_tried_again)
{
	memset(&failing_flash.bytes[JOURNAL_AT], 0, 4096);
	failing_flash.error = -EBUSY;
	failing_flash.failures = ATTEMPTS - 1;
	zassert_ok(thecal_flash_erase(THECAL_FLASH_JOURNAL, 0, 4096));
	zassert_equal(failing_flash.bytes[JOURNAL_AT], 0xff);
	zassert_equal(failing_flash.bytes[JOURNAL_AT + 4095], 0xff);
}

ZTEST(flash, test_other_failures_are_not_tried_again)
{
	failing_flash.error = -EIO;
	failing_flash.failures = 1;
	zassert_equal(thecal_flash_write(THECAL_FLASH_JOURNAL, 0, text, 4), -EIO);
	zassert_equal(failing_flash.writes, 1);
	failing_flash.failures = 1;
	zassert_equal(thecal_flash_erase(THECAL_FLASH_JOURNAL, 0, 4096), -EIO);
	zassert_equal(failing_flash.erases, 1);
}
