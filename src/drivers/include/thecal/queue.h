/*
 * Bounded queues of messages between the threads. Nobody ever waits to put something in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_QUEUE_H
#define THECAL_QUEUE_H

#include <stdint.h>

/* The queues, by number; what the messages hold is src/firmware/src/message.rs's business. */
#define THECAL_QUEUE_COMMANDS 0 /* link to delivery */
#define THECAL_QUEUE_RESULTS 1  /* journal to delivery */
#define THECAL_QUEUE_RECORDS 2  /* delivery to journal */
#define THECAL_QUEUE_ANSWERS 3  /* delivery and journal to link */
#define THECAL_QUEUES 4

/* Longest message of any queue: an answer of 1,024 bytes with its session. */
#define THECAL_QUEUE_BYTES 1040

/* What `wait_ms` means "for ever". */
#define THECAL_QUEUE_FOREVER 0xFFFFFFFFu

/*
 * Puts a copy of head[0..head_length] and body[0..body_length], one behind the other, at the end as one message; body may be NULL when
 * body_length is 0. All of it or nothing, and never waits. A message for the delivery thread also wakes it. Any context; senders may
 * interrupt each other.
 *
 * 0; -ENOSPC when the queue has no room for it now (counted); -EINVAL when there is no such queue, or the message is longer than
 * THECAL_QUEUE_BYTES or than the whole queue (counted too).
 */
int32_t thecal_queue_put(uint32_t queue, const uint8_t *head, uint32_t head_length, const uint8_t *body,
			 uint32_t body_length);

/*
 * Takes the first message, waiting for one at most wait_ms milliseconds. Its length, or -EAGAIN when there was none in time, or
 * -EINVAL when there is no such queue or capacity is less than THECAL_QUEUE_BYTES. One thread for each queue.
 */
int32_t thecal_queue_take(uint32_t queue, uint8_t *bytes, uint32_t capacity, uint32_t wait_ms);

/* How many messages did not fit since boot. */
uint32_t thecal_queue_lost(uint32_t queue);

#endif /* THECAL_QUEUE_H */
