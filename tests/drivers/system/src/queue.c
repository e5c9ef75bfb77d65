/*
 * The queues: nobody waits to put, what does not fit is counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/queue.h>
#include <thecal/system.h>

#include <errno.h>

#include <zephyr/kernel.h>
#include <zephyr/ztest.h>

static uint8_t taken[THECAL_QUEUE_BYTES];

static void empty(void *unused)
{
	ARG_UNUSED(unused);
	for (uint32_t queue = 0; queue < THECAL_QUEUES; queue++) {
		while (thecal_queue_take(queue, taken, sizeof(taken), 0) >= 0) {
		}
	}
}

ZTEST_SUITE(queue, NULL, NULL, empty, NULL, NULL);

ZTEST(queue, test_entries_come_out_as_they_went_in_and_in_order)
{
	for (uint32_t queue = 0; queue < THECAL_QUEUES; queue++) {
		for (uint8_t entry = 1; entry <= 3; entry++) {
			const uint8_t bytes[3] = {entry, (uint8_t)queue, 0xa5};

			zassert_ok(thecal_queue_put(queue, bytes, entry));
		}
		for (uint8_t entry = 1; entry <= 3; entry++) {
			zassert_equal(thecal_queue_take(queue, taken, sizeof(taken), 0), entry);
			zassert_equal(taken[0], entry);
		}
		zassert_equal(thecal_queue_take(queue, taken, sizeof(taken), 0), -EAGAIN);
	}
}

ZTEST(queue, test_a_full_queue_refuses_at_once_and_counts)
{
	const uint32_t before = thecal_queue_lost(THECAL_QUEUE_RECORDS);
	const uint64_t began = thecal_system_uptime_us();
	const uint8_t byte = 7;

	for (uint32_t entry = 0; entry < CONFIG_THECAL_QUEUE_RECORDS; entry++) {
		zassert_ok(thecal_queue_put(THECAL_QUEUE_RECORDS, &byte, 1));
	}
	zassert_equal(thecal_queue_put(THECAL_QUEUE_RECORDS, &byte, 1), -ENOSPC);
	zassert_equal(thecal_queue_put(THECAL_QUEUE_RECORDS, &byte, 1), -ENOSPC);
	zassert_equal(thecal_queue_lost(THECAL_QUEUE_RECORDS), before + 2);
	zassert_true(thecal_system_uptime_us() - began < 1000, "putting took time");
	zassert_equal(thecal_queue_take(THECAL_QUEUE_RECORDS, taken, sizeof(taken), 0), 1);
	zassert_ok(thecal_queue_put(THECAL_QUEUE_RECORDS, &byte, 1));
}

ZTEST(queue, test_what_is_too_long_is_refused_and_counted)
{
	const uint32_t before = thecal_queue_lost(THECAL_QUEUE_ANSWERS);
	static const uint8_t bytes[THECAL_QUEUE_BYTES + 1];

	zassert_ok(thecal_queue_put(THECAL_QUEUE_ANSWERS, bytes, THECAL_QUEUE_BYTES));
	zassert_equal(thecal_queue_put(THECAL_QUEUE_ANSWERS, bytes, THECAL_QUEUE_BYTES + 1), -EINVAL);
	zassert_equal(thecal_queue_put(THECAL_QUEUE_ANSWERS, bytes, UINT32_MAX), -EINVAL);
	zassert_equal(thecal_queue_lost(THECAL_QUEUE_ANSWERS), before + 2);
	zassert_equal(thecal_queue_take(THECAL_QUEUE_ANSWERS, taken, sizeof(taken), 0), THECAL_QUEUE_BYTES);
}

ZTEST(queue, test_there_is_no_other_queue)
{
	zassert_equal(thecal_queue_put(THECAL_QUEUES, taken, 1), -EINVAL);
	zassert_equal(thecal_queue_take(THECAL_QUEUES, taken, sizeof(taken), 0), -EINVAL);
	zassert_equal(thecal_queue_take(0, taken, sizeof(taken) - 1, 0), -EINVAL);
	zassert_equal(thecal_queue_lost(THECAL_QUEUES), 0);
}

ZTEST(queue, test_an_entry_for_delivery_ends_its_wait)
{
	const uint64_t began = thecal_system_uptime_us();
	const uint8_t byte = 1;

	/* What another test may have left. */
	thecal_system_wait_until(0);
	zassert_ok(thecal_queue_put(THECAL_QUEUE_COMMANDS, &byte, 1));
	thecal_system_wait_until(began + 5000000);
	zassert_ok(thecal_queue_put(THECAL_QUEUE_RESULTS, &byte, 1));
	thecal_system_wait_until(began + 5000000);
	zassert_true(thecal_system_uptime_us() - began < 100000);
	zassert_ok(thecal_queue_put(THECAL_QUEUE_RECORDS, &byte, 1));
	thecal_system_wait_until(began + 1000000);
	zassert_true(thecal_system_uptime_us() - began >= 1000000, "an entry for another thread woke delivery");
}
