/*
 * The hardware watchdog, fed by the delivery thread alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_WATCHDOG_H
#define THECAL_WATCHDOG_H

#include <stdint.h>

/*
 * Starts the watchdog; it cannot be stopped again. When it bites, the motor is switched off and the processor is reset.
 *
 * 0, THECAL_WATCHDOG_ABSENT where there is no hardware for it (native_sim: declared absent), or the driver's negative errno.
 */
#define THECAL_WATCHDOG_ABSENT 1
int32_t thecal_watchdog_start(void);

/* Feeds it. Does nothing where there is none. */
void thecal_watchdog_feed(void);

#endif /* THECAL_WATCHDOG_H */
