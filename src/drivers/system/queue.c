/*
 * Bounded queues of bytes between the threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/queue.h>
#include <thecal/system.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <zephyr/kernel.h>
#include <zephyr/sys/atomic.h>
#include <zephyr/sys/util.h>

/* Delivery empties it and goes before the journal, so that the few that have two results find room, too. */
BUILD_ASSERT(CONFIG_THECAL_QUEUE_RESULTS >= CONFIG_THECAL_QUEUE_RECORDS + 2,
	     "every record that waits must find room for its result, besides the one being written and the recovered state");

/* Lengths of the entries: what src/firmware/src/message.rs can make at most, in words. */
#define COMMAND_BYTES 128
#define RESULT_BYTES  168
#define RECORD_BYTES  192
#define ANSWER_BYTES  THECAL_QUEUE_BYTES

struct entry {
	uint32_t length;
	uint8_t bytes[THECAL_QUEUE_BYTES];
};

#define ENTRY_BYTES(most) (offsetof(struct entry, bytes) + (most))

K_MSGQ_DEFINE(thecal_commands, ENTRY_BYTES(COMMAND_BYTES), CONFIG_THECAL_QUEUE_COMMANDS, 4);
K_MSGQ_DEFINE(thecal_results, ENTRY_BYTES(RESULT_BYTES), CONFIG_THECAL_QUEUE_RESULTS, 4);
K_MSGQ_DEFINE(thecal_records, ENTRY_BYTES(RECORD_BYTES), CONFIG_THECAL_QUEUE_RECORDS, 4);
K_MSGQ_DEFINE(thecal_answers, ENTRY_BYTES(ANSWER_BYTES), CONFIG_THECAL_QUEUE_ANSWERS, 4);

static const struct {
	struct k_msgq *entries;
	uint32_t capacity;
	bool to_delivery;
} queues[THECAL_QUEUES] = {
	[THECAL_QUEUE_COMMANDS] = {&thecal_commands, COMMAND_BYTES, true},
	[THECAL_QUEUE_RESULTS] = {&thecal_results, RESULT_BYTES, true},
	[THECAL_QUEUE_RECORDS] = {&thecal_records, RECORD_BYTES, false},
	[THECAL_QUEUE_ANSWERS] = {&thecal_answers, ANSWER_BYTES, false},
};

static atomic_t lost[THECAL_QUEUES];

int32_t thecal_queue_put(uint32_t queue, const uint8_t *bytes, uint32_t length)
{
	struct entry entry;

	if (queue >= THECAL_QUEUES) {
		return -EINVAL;
	}
	if (length > queues[queue].capacity) {
		atomic_inc(&lost[queue]);
		return -EINVAL;
	}
	entry.length = length;
	memcpy(entry.bytes, bytes, length);
	memset(&entry.bytes[length], 0, queues[queue].capacity - length);
	if (k_msgq_put(queues[queue].entries, &entry, K_NO_WAIT) != 0) {
		atomic_inc(&lost[queue]);
		return -ENOSPC;
	}
	if (queues[queue].to_delivery) {
		thecal_system_wake();
	}
	return 0;
}

int32_t thecal_queue_take(uint32_t queue, uint8_t *bytes, uint32_t capacity, uint32_t wait_ms)
{
	const k_timeout_t wait = wait_ms == THECAL_QUEUE_FOREVER ? K_FOREVER : K_MSEC(wait_ms);
	struct entry entry;

	if (queue >= THECAL_QUEUES || capacity < THECAL_QUEUE_BYTES) {
		return -EINVAL;
	}
	if (k_msgq_get(queues[queue].entries, &entry, wait) != 0) {
		return -EAGAIN;
	}
	memcpy(bytes, entry.bytes, entry.length);
	return (int32_t)entry.length;
}

uint32_t thecal_queue_lost(uint32_t queue)
{
	return queue < THECAL_QUEUES ? (uint32_t)atomic_get(&lost[queue]) : 0;
}
