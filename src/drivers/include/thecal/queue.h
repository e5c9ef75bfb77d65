/*
 * Bounded queues of bytes between the threads. Nobody ever waits to put something in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_QUEUE_H
#define THECAL_QUEUE_H

#include <stdint.h>

/* The queues, by number; what each entry holds is src/firmware/src/message.rs's business. */
#define THECAL_QUEUE_COMMANDS 0 /* link to delivery */
#define THECAL_QUEUE_RESULTS 1  /* journal to delivery */
#define THECAL_QUEUE_RECORDS 2  /* delivery to journal */
#define THECAL_QUEUE_ANSWERS 3  /* delivery to link */
#define THECAL_QUEUES 4

/* Longest entry of any queue. */
#define THECAL_QUEUE_BYTES 256

/* What `wait_ms` means "for ever". */
#define THECAL_QUEUE_FOREVER 0xFFFFFFFFu

/*
 * Puts a copy of bytes[0..length] at the end. Never waits. An entry for the delivery thread also wakes it.
 *
 * 0; -ENOSPC when the queue is full (counted); -EINVAL when there is no such queue or the entry is too long (counted too).
 */
int32_t thecal_queue_put(uint32_t queue, const uint8_t *bytes, uint32_t length);

/*
 * Takes the first entry, waiting for one at most wait_ms milliseconds. Its length, or -EAGAIN when there was none in time, or
 * -EINVAL when there is no such queue or capacity is less than THECAL_QUEUE_BYTES.
 */
int32_t thecal_queue_take(uint32_t queue, uint8_t *bytes, uint32_t capacity, uint32_t wait_ms);

/* How many entries did not fit since boot. */
uint32_t thecal_queue_lost(uint32_t queue);

#endif /* THECAL_QUEUE_H */
