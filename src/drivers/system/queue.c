/*
 * Bounded queues of messages between the threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A queue is a ring of entries of one size; a message takes as many, one behind the other, as it needs: a short one takes one. So a queue
 * of N entries always has room for N short messages, which is what the sizes below are chosen by, and a program of 800 bytes needs no
 * queue of entries of 800.
 *
 * Put in two steps: the entries are reserved, all or none of them, and the message is complete once it has been copied and says so. Only
 * the reserving is locked, for a few instructions, so a queue may have several senders, in threads and interrupts alike, and the pieces
 * of their messages never mix. A sender that is interrupted while it copies holds up the messages behind its own until it goes on.
 * Each queue has one receiver.
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

/* Lengths of the entries, in words: what most messages of src/firmware/src/message.rs fit into. */
#define COMMAND_BYTES 128
#define RESULT_BYTES  64
#define RECORD_BYTES  96
#define ANSWER_BYTES  256

/* The longest messages: a program with what goes before it; the same with the stamp of a record; the longest answer on the wire. */
#define LONGEST_COMMAND 840
#define LONGEST_RESULT  840
#define LONGEST_RECORD  880
#define LONGEST_ANSWER  THECAL_QUEUE_BYTES

BUILD_ASSERT(CONFIG_THECAL_QUEUE_COMMANDS * COMMAND_BYTES >= LONGEST_COMMAND, "no room for a program");
BUILD_ASSERT(CONFIG_THECAL_QUEUE_RESULTS * RESULT_BYTES >= LONGEST_RESULT, "no room for a recovered program");
BUILD_ASSERT(CONFIG_THECAL_QUEUE_RECORDS * RECORD_BYTES >= LONGEST_RECORD, "no room for the record of a program");
BUILD_ASSERT(CONFIG_THECAL_QUEUE_ANSWERS * ANSWER_BYTES >= LONGEST_ANSWER, "no room for the longest answer");

/*
 * A record takes an entry or more, its result one. Delivery empties the results and goes before the journal, so that the few that have two
 * results find room, too.
 */
BUILD_ASSERT(CONFIG_THECAL_QUEUE_RESULTS >= CONFIG_THECAL_QUEUE_RECORDS + 2,
	     "every record that waits must find room for its result, besides the one being written and the recovered state");

/* In the head of an entry: a message of this length begins here and is complete. Otherwise the head is 0. */
#define COMPLETE BIT(31)

struct ring {
	uint8_t *const bytes;
	/* One for each entry. */
	atomic_t *const heads;
	const uint32_t entries;
	const uint32_t entry_bytes;
	const bool to_delivery;
	/* Given with every message; the head of the first entry says whether there is one. */
	struct k_sem arrived;
	struct k_spinlock lock;
	/* Entries before `first` are free. The receiver's alone. */
	uint32_t first;
	/* Entries from `first` on that are reserved. Under the lock. */
	uint32_t used;
	atomic_t lost;
};

#define RING(name, count, size, wakes)                                                                                 \
	static uint8_t __aligned(4) name##_bytes[(count) * (size)];                                                    \
	static atomic_t name##_heads[count];                                                                           \
	static struct ring name = {                                                                                    \
		.bytes = name##_bytes,                                                                                 \
		.heads = name##_heads,                                                                                 \
		.entries = (count),                                                                                    \
		.entry_bytes = (size),                                                                                 \
		.to_delivery = (wakes),                                                                                \
		.arrived = Z_SEM_INITIALIZER(name.arrived, 0, 1),                                                      \
	}

RING(commands, CONFIG_THECAL_QUEUE_COMMANDS, COMMAND_BYTES, true);
RING(results, CONFIG_THECAL_QUEUE_RESULTS, RESULT_BYTES, true);
RING(records, CONFIG_THECAL_QUEUE_RECORDS, RECORD_BYTES, false);
RING(answers, CONFIG_THECAL_QUEUE_ANSWERS, ANSWER_BYTES, false);

static struct ring *const queues[THECAL_QUEUES] = {
	[THECAL_QUEUE_COMMANDS] = &commands,
	[THECAL_QUEUE_RESULTS] = &results,
	[THECAL_QUEUE_RECORDS] = &records,
	[THECAL_QUEUE_ANSWERS] = &answers,
};

static uint32_t entries_for(const struct ring *ring, uint32_t length)
{
	return MAX(1, DIV_ROUND_UP(length, ring->entry_bytes));
}

/* Reserves entries behind the last: the number of the first of them, or -ENOSPC. */
static int32_t reserve(struct ring *ring, uint32_t entries)
{
	const k_spinlock_key_t key = k_spin_lock(&ring->lock);
	int32_t at = -ENOSPC;

	if (entries <= ring->entries - ring->used) {
		at = (int32_t)((ring->first + ring->used) % ring->entries);
		ring->used += entries;
	}
	k_spin_unlock(&ring->lock, key);
	return at;
}

/* Frees the first entries. */
static void release(struct ring *ring, uint32_t entries)
{
	const k_spinlock_key_t key = k_spin_lock(&ring->lock);

	ring->first = (ring->first + entries) % ring->entries;
	ring->used -= entries;
	k_spin_unlock(&ring->lock, key);
}

/* Copies into the ring from byte `at` on, round its end; returns where the next byte goes. length is less than the ring is long. */
static uint32_t copy_in(struct ring *ring, uint32_t at, const uint8_t *bytes, uint32_t length)
{
	const uint32_t size = ring->entries * ring->entry_bytes;
	const uint32_t straight = MIN(length, size - at);

	memcpy(&ring->bytes[at], bytes, straight);
	memcpy(ring->bytes, &bytes[straight], length - straight);
	return (at + length) % size;
}

/* Moves out of the ring: keys pass through it, and an entry may be free for weeks. */
static void move_out(struct ring *ring, uint32_t at, uint8_t *bytes, uint32_t length)
{
	const uint32_t straight = MIN(length, ring->entries * ring->entry_bytes - at);

	memcpy(bytes, &ring->bytes[at], straight);
	memcpy(&bytes[straight], ring->bytes, length - straight);
	memset(&ring->bytes[at], 0, straight);
	memset(ring->bytes, 0, length - straight);
}

int32_t thecal_queue_put(uint32_t queue, const uint8_t *head, uint32_t head_length, const uint8_t *body,
			 uint32_t body_length)
{
	struct ring *ring;
	uint32_t at;
	int32_t entry;

	if (queue >= THECAL_QUEUES) {
		return -EINVAL;
	}
	ring = queues[queue];
	/* One after the other: the sum may be more than there are numbers. */
	if (head_length > THECAL_QUEUE_BYTES || body_length > THECAL_QUEUE_BYTES - head_length ||
	    entries_for(ring, head_length + body_length) > ring->entries) {
		atomic_inc(&ring->lost);
		return -EINVAL;
	}
	entry = reserve(ring, entries_for(ring, head_length + body_length));
	if (entry < 0) {
		atomic_inc(&ring->lost);
		return entry;
	}
	at = copy_in(ring, (uint32_t)entry * ring->entry_bytes, head, head_length);
	if (body_length > 0) {
		(void)copy_in(ring, at, body, body_length);
	}
	/* Behind the bytes: from here on they are the receiver's. */
	atomic_set(&ring->heads[entry], (atomic_val_t)(COMPLETE | (head_length + body_length)));
	k_sem_give(&ring->arrived);
	if (ring->to_delivery) {
		thecal_system_wake();
	}
	return 0;
}

int32_t thecal_queue_take(uint32_t queue, uint8_t *bytes, uint32_t capacity, uint32_t wait_ms)
{
	const k_timepoint_t end =
		sys_timepoint_calc(wait_ms == THECAL_QUEUE_FOREVER ? K_FOREVER : K_MSEC(wait_ms));
	struct ring *ring;
	uint32_t length;

	if (queue >= THECAL_QUEUES || capacity < THECAL_QUEUE_BYTES) {
		return -EINVAL;
	}
	ring = queues[queue];
	/* The semaphore may be there for a message that has been taken, or for one behind a message that is not complete. */
	while ((length = (uint32_t)atomic_get(&ring->heads[ring->first])) == 0) {
		if (k_sem_take(&ring->arrived, sys_timepoint_timeout(end)) != 0) {
			return -EAGAIN;
		}
	}
	length &= ~COMPLETE;
	move_out(ring, ring->first * ring->entry_bytes, bytes, length);
	atomic_clear(&ring->heads[ring->first]);
	release(ring, entries_for(ring, length));
	return (int32_t)length;
}

uint32_t thecal_queue_lost(uint32_t queue)
{
	return queue < THECAL_QUEUES ? (uint32_t)atomic_get(&queues[queue]->lost) : 0;
}
