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

static int32_t put(uint32_t queue, const uint8_t *bytes, uint32_t length)
{
	return thecal_queue_put(queue, bytes, length, NULL, 0);
}

static int32_t take(uint32_t queue)
{
	return thecal_queue_take(queue, taken, sizeof(taken), 0);
}

/* A message that is like no other of its length, and unlike itself when a piece of it is missing. */
static const uint8_t *message(uint32_t length, uint8_t seed)
{
	static uint8_t bytes[THECAL_QUEUE_BYTES];

	for (uint32_t at = 0; at < length; at++) {
		bytes[at] = (uint8_t)(seed + at + (at >> 8));
	}
	return bytes;
}

static void is_message(const uint8_t *bytes, uint32_t length, uint8_t seed)
{
	for (uint32_t at = 0; at < length; at++) {
		zassert_equal(bytes[at], (uint8_t)(seed + at + (at >> 8)), "byte %u of %u", at, length);
	}
}

static void empty(void *unused)
{
	ARG_UNUSED(unused);
	for (uint32_t queue = 0; queue < THECAL_QUEUES; queue++) {
		while (take(queue) >= 0) {
		}
	}
}

ZTEST_SUITE(queue, NULL, NULL, empty, NULL, NULL);

ZTEST(queue, test_entries_come_out_as_they_went_in_and_in_order)
{
	for (uint32_t queue = 0; queue < THECAL_QUEUES; queue++) {
		for (uint8_t entry = 1; entry <= 3; entry++) {
			const uint8_t bytes[3] = {entry, (uint8_t)queue, 0xa5};

			zassert_ok(put(queue, bytes, entry));
		}
		for (uint8_t entry = 1; entry <= 3; entry++) {
			zassert_equal(take(queue), entry);
			zassert_equal(taken[0], entry);
		}
		zassert_equal(take(queue), -EAGAIN);
	}
}

ZTEST(queue, test_a_full_queue_refuses_at_once_and_counts)
{
	const uint32_t before = thecal_queue_lost(THECAL_QUEUE_RECORDS);
	const uint64_t began = thecal_system_uptime_us();
	const uint8_t byte = 7;

	for (uint32_t entry = 0; entry < CONFIG_THECAL_QUEUE_RECORDS; entry++) {
		zassert_ok(put(THECAL_QUEUE_RECORDS, &byte, 1));
	}
	zassert_equal(put(THECAL_QUEUE_RECORDS, &byte, 1), -ENOSPC);
	zassert_equal(put(THECAL_QUEUE_RECORDS, &byte, 1), -ENOSPC);
	zassert_equal(thecal_queue_lost(THECAL_QUEUE_RECORDS), before + 2);
	zassert_true(thecal_system_uptime_us() - began < 1000, "putting took time");
	zassert_equal(take(THECAL_QUEUE_RECORDS), 1);
	zassert_ok(put(THECAL_QUEUE_RECORDS, &byte, 1));
}

ZTEST(queue, test_what_is_too_long_is_refused_and_counted)
{
	const uint32_t before = thecal_queue_lost(THECAL_QUEUE_ANSWERS);
	static const uint8_t bytes[THECAL_QUEUE_BYTES + 1];

	zassert_ok(put(THECAL_QUEUE_ANSWERS, bytes, THECAL_QUEUE_BYTES));
	zassert_equal(put(THECAL_QUEUE_ANSWERS, bytes, THECAL_QUEUE_BYTES + 1), -EINVAL);
	zassert_equal(put(THECAL_QUEUE_ANSWERS, bytes, UINT32_MAX), -EINVAL);
	zassert_equal(thecal_queue_lost(THECAL_QUEUE_ANSWERS), before + 2);
	zassert_equal(take(THECAL_QUEUE_ANSWERS), THECAL_QUEUE_BYTES);
}

ZTEST(queue, test_the_parts_of_a_message_are_as_long_as_they_say)
{
	const uint32_t before = thecal_queue_lost(THECAL_QUEUE_ANSWERS);
	const uint8_t *bytes = message(THECAL_QUEUE_BYTES, 3);

	zassert_ok(thecal_queue_put(THECAL_QUEUE_ANSWERS, bytes, 300, &bytes[300], THECAL_QUEUE_BYTES - 300));
	zassert_equal(take(THECAL_QUEUE_ANSWERS), THECAL_QUEUE_BYTES);
	is_message(taken, THECAL_QUEUE_BYTES, 3);
	zassert_equal(thecal_queue_put(THECAL_QUEUE_ANSWERS, bytes, 300, &bytes[300], THECAL_QUEUE_BYTES - 299), -EINVAL);
	zassert_equal(thecal_queue_put(THECAL_QUEUE_ANSWERS, bytes, 1, &bytes[1], UINT32_MAX), -EINVAL);
	zassert_equal(thecal_queue_put(THECAL_QUEUE_ANSWERS, bytes, UINT32_MAX, &bytes[1], 2), -EINVAL);
	zassert_equal(thecal_queue_lost(THECAL_QUEUE_ANSWERS), before + 3);
	zassert_equal(take(THECAL_QUEUE_ANSWERS), -EAGAIN);
}

ZTEST(queue, test_a_message_of_nothing_is_a_message)
{
	zassert_ok(thecal_queue_put(THECAL_QUEUE_RECORDS, NULL, 0, NULL, 0));
	zassert_equal(take(THECAL_QUEUE_RECORDS), 0);
	zassert_equal(take(THECAL_QUEUE_RECORDS), -EAGAIN);
}

ZTEST(queue, test_long_and_short_messages_come_out_whole_and_in_order)
{
	static const uint32_t lengths[] = {800, 1, 95, 96, 97, 0, 250, 768, 3, 192, 193};

	/* In step with nothing, so that messages of every length lie across the ring's end. */
	for (uint32_t round = 0; round < 100; round++) {
		for (uint32_t queue = 0; queue < THECAL_QUEUES; queue++) {
			for (uint32_t at = 0; at < ARRAY_SIZE(lengths); at++) {
				const uint32_t first = lengths[at];
				const uint8_t seed = (uint8_t)(round + at);

				zassert_ok(put(queue, message(first, seed), first));
				zassert_ok(put(queue, message(2, 200), 2));
				zassert_equal(take(queue), first);
				is_message(taken, first, seed);
				zassert_equal(take(queue), 2);
				is_message(taken, 2, 200);
				zassert_equal(take(queue), -EAGAIN);
			}
		}
	}
}

ZTEST(queue, test_a_long_message_without_room_is_refused_whole)
{
	const uint32_t before = thecal_queue_lost(THECAL_QUEUE_RECORDS);

	/* 800 bytes are nine entries of twelve: three are left, and four of them are one too many. */
	zassert_ok(put(THECAL_QUEUE_RECORDS, message(800, 1), 800));
	zassert_equal(put(THECAL_QUEUE_RECORDS, message(3 * 96 + 1, 2), 3 * 96 + 1), -ENOSPC);
	zassert_equal(put(THECAL_QUEUE_RECORDS, message(800, 2), 800), -ENOSPC);
	zassert_equal(thecal_queue_lost(THECAL_QUEUE_RECORDS), before + 2);
	zassert_ok(put(THECAL_QUEUE_RECORDS, message(3 * 96, 4), 3 * 96));
	zassert_equal(put(THECAL_QUEUE_RECORDS, message(0, 5), 0), -ENOSPC);
	zassert_equal(take(THECAL_QUEUE_RECORDS), 800);
	is_message(taken, 800, 1);
	/* The nine are free again, and no more than these. */
	zassert_equal(put(THECAL_QUEUE_RECORDS, message(9 * 96 + 1, 6), 9 * 96 + 1), -ENOSPC);
	zassert_ok(put(THECAL_QUEUE_RECORDS, message(9 * 96, 7), 9 * 96));
	zassert_equal(take(THECAL_QUEUE_RECORDS), 3 * 96);
	is_message(taken, 3 * 96, 4);
	zassert_equal(take(THECAL_QUEUE_RECORDS), 9 * 96);
	is_message(taken, 9 * 96, 7);
}

ZTEST(queue, test_what_no_empty_queue_could_hold_is_too_long)
{
	const uint32_t before = thecal_queue_lost(THECAL_QUEUE_RESULTS);
	const uint32_t most = CONFIG_THECAL_QUEUE_RESULTS * 64;

	zassert_true(most < THECAL_QUEUE_BYTES);
	zassert_ok(put(THECAL_QUEUE_RESULTS, message(most, 1), most));
	zassert_equal(take(THECAL_QUEUE_RESULTS), most);
	is_message(taken, most, 1);
	zassert_equal(put(THECAL_QUEUE_RESULTS, message(most + 1, 1), most + 1), -EINVAL);
	zassert_equal(thecal_queue_lost(THECAL_QUEUE_RESULTS), before + 1);
}

/* Two senders of the same queue, one of which interrupts the other wherever it may be. */
static uint32_t interruptions;

static void interrupt(struct k_timer *timer)
{
	ARG_UNUSED(timer);
	if (put(THECAL_QUEUE_ANSWERS, (const uint8_t[]){0xee, 0xee, 0xee}, 3) == 0) {
		interruptions++;
	}
}

static K_TIMER_DEFINE(interrupting, interrupt, NULL);

ZTEST(queue, test_messages_of_two_senders_do_not_mix)
{
	uint32_t long_ones = 0;
	uint32_t short_ones = 0;

	interruptions = 0;
	k_timer_start(&interrupting, K_USEC(100), K_USEC(100));
	for (uint32_t round = 0; round < 500; round++) {
		int32_t length;

		(void)put(THECAL_QUEUE_ANSWERS, message(700, 9), 700);
		k_busy_wait(70);
		while ((length = take(THECAL_QUEUE_ANSWERS)) >= 0) {
			if (length == 3) {
				zassert_equal(taken[0] & taken[1] & taken[2], 0xee);
				short_ones++;
			} else {
				zassert_equal(length, 700);
				is_message(taken, 700, 9);
				long_ones++;
			}
		}
	}
	k_timer_stop(&interrupting);
	while (take(THECAL_QUEUE_ANSWERS) == 3) {
		short_ones++;
	}
	zassert_true(long_ones > 0 && short_ones > 0);
	zassert_equal(short_ones, interruptions);
}

static struct k_thread sender;
static K_THREAD_STACK_DEFINE(sender_stack, 1024);

static void send_late(void *unused_1, void *unused_2, void *unused_3)
{
	ARG_UNUSED(unused_1);
	ARG_UNUSED(unused_2);
	ARG_UNUSED(unused_3);
	k_msleep(50);
	(void)put(THECAL_QUEUE_RECORDS, (const uint8_t[]){1, 2}, 2);
}

ZTEST(queue, test_the_receiver_waits_for_a_message_and_no_longer)
{
	const uint8_t byte = 1;
	uint64_t began;

	/* What was given for a message that has been taken does not end a wait. */
	zassert_ok(put(THECAL_QUEUE_RECORDS, &byte, 1));
	zassert_equal(take(THECAL_QUEUE_RECORDS), 1);
	began = thecal_system_uptime_us();
	zassert_equal(thecal_queue_take(THECAL_QUEUE_RECORDS, taken, sizeof(taken), 20), -EAGAIN);
	zassert_true(thecal_system_uptime_us() - began >= 20000);
	k_thread_create(&sender, sender_stack, K_THREAD_STACK_SIZEOF(sender_stack), send_late, NULL, NULL, NULL,
			K_PRIO_PREEMPT(1), 0, K_NO_WAIT);
	zassert_equal(thecal_queue_take(THECAL_QUEUE_RECORDS, taken, sizeof(taken), THECAL_QUEUE_FOREVER), 2);
	zassert_true(thecal_system_uptime_us() - began < 1000000);
	zassert_ok(k_thread_join(&sender, K_FOREVER));
}

ZTEST(queue, test_there_is_no_other_queue)
{
	zassert_equal(put(THECAL_QUEUES, taken, 1), -EINVAL);
	zassert_equal(take(THECAL_QUEUES), -EINVAL);
	zassert_equal(thecal_queue_take(0, taken, sizeof(taken) - 1, 0), -EINVAL);
	zassert_equal(thecal_queue_lost(THECAL_QUEUES), 0);
}

ZTEST(queue, test_an_entry_for_delivery_ends_its_wait)
{
	const uint64_t began = thecal_system_uptime_us();
	const uint8_t byte = 1;

	/* What another test may have left. */
	thecal_system_wait_until(0);
	zassert_ok(put(THECAL_QUEUE_COMMANDS, &byte, 1));
	thecal_system_wait_until(began + 5000000);
	zassert_ok(put(THECAL_QUEUE_RESULTS, &byte, 1));
	thecal_system_wait_until(began + 5000000);
	zassert_true(thecal_system_uptime_us() - began < 100000);
	zassert_ok(put(THECAL_QUEUE_RECORDS, &byte, 1));
	thecal_system_wait_until(began + 1000000);
	zassert_true(thecal_system_uptime_us() - began >= 1000000, "an entry for another thread woke delivery");
}
