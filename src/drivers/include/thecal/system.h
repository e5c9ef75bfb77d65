/*
 * The kernel as the firmware sees it: time, waiting, log lines, randomness, resets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_SYSTEM_H
#define THECAL_SYSTEM_H

#include <stdint.h>

/* Makes the threads run. Once, from main. They wait for each other as src/firmware says. */
void thecal_threads_start(void);

/* Microseconds since boot. Any context. */
uint64_t thecal_system_uptime_us(void);

/*
 * Delivery thread only: waits until that time, or until thecal_system_wake(), or until the watchdog has to be fed, whichever comes
 * first, and at least one tick of the kernel's clock: a thread that nothing interrupts must never spin.
 */
void thecal_system_wait_until(uint64_t until_us);

/* Ends the delivery thread's present wait, or its next one. Any context. */
void thecal_system_wake(void);

/* Link thread only: waits until delivery has begun, at most wait_ms milliseconds. 0, or -EAGAIN. */
int32_t thecal_system_wait_for_delivery(uint32_t wait_ms);

/* Delivery thread only: lets thecal_system_wait_for_delivery() return, now and ever after. */
void thecal_system_delivery_has_begun(void);

/* Levels of thecal_system_log(). */
#define THECAL_LOG_ERROR 1
#define THECAL_LOG_WARNING 2
#define THECAL_LOG_INFO 3
#define THECAL_LOG_DEBUG 4

/* Longest line; what is longer is cut. */
#define THECAL_LOG_BYTES 160

/* Puts one line into Zephyr's log. For developers: what counts clinically goes to the journal as a record. */
void thecal_system_log(uint32_t level, const uint8_t *text, uint32_t length);

/* Fills bytes with numbers nobody can foresee. 0, or a negative errno. */
int32_t thecal_system_random(uint8_t *bytes, uint32_t length);

/* Why the processor started. */
#define THECAL_RESET_POWER_ON 0  /* power came back, or nothing is known */
#define THECAL_RESET_EXTERNAL 1  /* reset pin or debugger */
#define THECAL_RESET_FATAL 2     /* the firmware, after a fatal error; `reason` says which */
#define THECAL_RESET_WATCHDOG 3  /* the watchdog was not fed */
#define THECAL_RESET_BROWN_OUT 4 /* the supply was too low */
#define THECAL_RESET_SOFTWARE 5  /* the firmware asked for it */

struct thecal_reset {
	uint32_t cause;           /* THECAL_RESET_* */
	uint32_t reason;          /* Zephyr's k_fatal_error_reason; 0 unless cause is THECAL_RESET_FATAL */
	uint32_t program_counter; /* where the error was, its low 32 bits; 0 when unknown */
	uint32_t reserved;        /* 0 */
};
_Static_assert(sizeof(struct thecal_reset) == 16, "layout is shared with Rust");

/* Why this boot happened. Reads and clears what was retained at the first call; later calls answer the same. */
void thecal_system_reset_cause(struct thecal_reset *reset);

/* Keeps the cause of a reset that is about to happen. Any context, also with everything else broken. */
void thecal_system_retain_fatal(uint32_t reason, uint32_t program_counter);

/* What a process of native_sim ends with when the pump resets itself: start it again with the same flash file (EX_TEMPFAIL). */
#define THECAL_RESET_EXIT_STATUS 75

/* Resets. Does not return. Any context. */
void thecal_system_reset(void);

#endif /* THECAL_SYSTEM_H */
