/*
 * The last gate before the motor: it counts steps for itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The interlock does not trust whoever orders steps. It starts closed, is opened once a boot with the hard ceiling
 * of the pump kind (device tree: ceiling-steps, ceiling-window-ms) and from then on refuses whatever would make more
 * than `ceiling` steps in any rolling window. It does no I/O and knows no clock: time is an argument, in microseconds
 * since boot.
 *
 *            open()                      off()
 *   closed ----------> open ---------------------------------> off      (until the next boot)
 *      \                 |  any word and its complement differ,
 *       \                |  or more steps counted than allowed
 *        `---------------+------------------------------------> tripped  (until the next boot)
 *
 * Every word it decides by is kept twice, the second time with all bits inverted. A pair that disagrees is doubt, and
 * doubt closes the gate for good.
 *
 * The window is made of buckets. (BUCKETS - 1) * width >= window, and the sum is taken over all BUCKETS buckets, so a
 * true window that ends anywhere in the newest bucket lies wholly within the sum: the sum is never less than the true
 * count, and a sum within the ceiling proves the true count is. The price is one bucket: with 61 buckets steps are
 * remembered up to 1/60 of the window longer than need be.
 *
 * The second, armed ceiling (rolling 1 h and 24 h allowances of the committed prescription, docs/therapy.md "The
 * interlock in C") adds two more windows here: every loop runs over THECAL_INTERLOCK_WINDOWS.
 */
#ifndef THECAL_INTERLOCK_H
#define THECAL_INTERLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Buckets of one window: 60 cover it, one more covers the part of the newest that has not passed yet. */
#define THECAL_INTERLOCK_BUCKETS 61
/** Windows kept: the hard ceiling alone, until the armed ceiling joins it. */
#define THECAL_INTERLOCK_WINDOWS 1

/* What thecal_interlock_state() answers. */
/** Not opened since boot: no step. */
#define THECAL_INTERLOCK_CLOSED  0
/** Steps are made up to the ceiling. */
#define THECAL_INTERLOCK_OPEN    1
/** A stored word was damaged, or more steps were counted than allowed: no step until the next boot. */
#define THECAL_INTERLOCK_TRIPPED 2
/** The motor was switched off: no step until the next boot. */
#define THECAL_INTERLOCK_OFF     3

/** A word and its bitwise complement. */
struct thecal_guarded32 {
	uint32_t value;
	uint32_t complement;
};
_Static_assert(sizeof(struct thecal_guarded32) == 8, "layout is shared with Rust");

/** A double word and its bitwise complement. */
struct thecal_guarded64 {
	uint64_t value;
	uint64_t complement;
};
_Static_assert(sizeof(struct thecal_guarded64) == 16, "layout is shared with Rust");

/** One rolling ceiling. */
struct thecal_interlock_window {
	/** Number of the newest bucket since boot (time / width). */
	struct thecal_guarded64 newest;
	/** Width of a bucket, microseconds. */
	struct thecal_guarded64 width_us;
	/** Most steps that all buckets together may hold. */
	struct thecal_guarded32 ceiling_steps;
	/** Sum of all buckets. */
	struct thecal_guarded32 sum_steps;
	/** Steps by bucket; bucket number modulo BUCKETS is the place. */
	struct thecal_guarded32 buckets[THECAL_INTERLOCK_BUCKETS];
};
_Static_assert(sizeof(struct thecal_interlock_window) == 48 + 8 * THECAL_INTERLOCK_BUCKETS,
	       "layout is shared with Rust");

/** The gate. Its fields are its own business. */
struct thecal_interlock {
	struct thecal_interlock_window windows[THECAL_INTERLOCK_WINDOWS];
	struct thecal_guarded32 state;
};
_Static_assert(sizeof(struct thecal_interlock) ==
		       THECAL_INTERLOCK_WINDOWS * sizeof(struct thecal_interlock_window) + 8,
	       "layout is shared with Rust");

/** Make the gate closed and empty. Once a boot, before anything else. */
void thecal_interlock_init(struct thecal_interlock *interlock);

/**
 * Open the gate with the hard ceiling. Works once a boot.
 *
 * @param ceiling_steps  most steps in any rolling window, 1 and more
 * @param window_ms      length of the window, 1 and more
 * @retval 0        open
 * @retval -EINVAL  ceiling or window is 0: it stays closed
 * @retval -EACCES  it is not in its first, closed state: nothing changed
 */
int32_t thecal_interlock_open(struct thecal_interlock *interlock, uint32_t ceiling_steps, uint32_t window_ms);

/**
 * Ask whether so many steps may be made from at_us on. Makes and counts none.
 *
 * All of them are held against the window that ends with the first, which is the fullest, so a yes holds for every
 * step however late it comes, as long as nobody else makes steps.
 *
 * @retval 0        allowed
 * @retval -EACCES  the gate is not open
 * @retval -EPERM   the ceiling would be passed
 */
int32_t thecal_interlock_permit(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps);

/**
 * Count steps that were made. A time before an earlier one counts as that earlier one, which forgets nothing.
 *
 * @retval 0        counted
 * @retval -EACCES  the gate is not open: not counted, and nothing can be made any more either
 * @retval -EPERM   counted, and that is more than the ceiling: the gate has tripped
 */
int32_t thecal_interlock_count(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps);

/**
 * Ask for one step now and count it if it is allowed. Returns what thecal_interlock_permit() does; a refusal counts
 * nothing.
 */
int32_t thecal_interlock_take_step(struct thecal_interlock *interlock, uint64_t at_us);

/** Close the gate until the next boot. A tripped gate stays tripped. */
void thecal_interlock_shut(struct thecal_interlock *interlock);

/** Check every stored pair, trip on any that disagrees, and answer THECAL_INTERLOCK_*. */
uint16_t thecal_interlock_state(struct thecal_interlock *interlock);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_INTERLOCK_H */
