/*
 * Bytes that survive a reset of the processor but not a loss of power: what is in them is the pump's business.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * RAM forgets slowly: after a short loss of power the bytes may still be whole. Whoever must tell looks at the cause of the reset, or keeps
 * among the bytes what only the boot before can have written.
 */
#ifndef THECAL_RETAINED_H
#define THECAL_RETAINED_H

#include <stdint.h>

#include "interlock.h"

/* Most bytes that can be kept. */
#define THECAL_RETAINED_BYTES 96

/*
 * Keeps bytes[0..length] in place of what was kept before. A reset in the midst of it leaves the old ones whole. Delivery thread only,
 * which calls it at every tick: it waits for nothing, takes no lock and touches no flash.
 *
 * 0; -EINVAL when there are more than THECAL_RETAINED_BYTES; -ENODEV when this machine has no such memory.
 */
int32_t thecal_retained_write(const uint8_t *bytes, uint32_t length);

/*
 * The newest bytes that were kept whole. Delivery thread only.
 *
 * Their number; -ENODATA when there are none (power was lost, or both copies are damaged); -ENODEV when this machine has no such memory;
 * -EINVAL when capacity is less than THECAL_RETAINED_BYTES.
 */
int32_t thecal_retained_read(uint8_t *bytes, uint32_t capacity);

/*
 * The interlock's history of steps, likewise: in two slots of its own, written in turn. Called by the motor (thecal/motor.h), in the
 * thread that hands over orders.
 *
 * Write and read: 0; -ENODEV when this machine has no such memory. Read: -ENODATA when there is none.
 */
int32_t thecal_retained_history_write(const struct thecal_interlock_history *history);
int32_t thecal_retained_history_read(struct thecal_interlock_history *history);

/* Nothing is to be found there any more, in either slot. */
void thecal_retained_history_forget(void);

#endif /* THECAL_RETAINED_H */
