/*
 * The last gate before the motor: it counts steps for itself.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The interlock does not trust whoever orders steps. It has two ceilings, and a step needs both:
 *
 *  - the hard one of the pump kind (device tree: ceiling-steps, ceiling-window-ms), written once a boot by open();
 *  - the armed one, which the pump hands over: steps in a rolling hour and in a rolling day, as the committed
 *    prescription needs them. Without it no step is made.
 *
 * It does no I/O and knows no clock: time is an argument, in microseconds since boot.
 *
 *            open()           arm()                    shut()
 *   closed ----------> open ---------> open and armed -------------> off      (until the next boot)
 *      \                 |                    |  any word and its complement differ, the allowances and their CRC
 *       \                |                    |  differ, more steps counted than allowed, a step that was accepted
 *        \               |                    |  would pass the allowance
 *         `--------------+--------------------+--------------------> tripped  (until the next boot)
 *
 * Every word it decides by is kept twice, the second time with all bits inverted; the allowances have a CRC besides,
 * because a wrong one would go unnoticed longest. Every decision looks at the pairs it needs; every order, steps that
 * hardware has made and a new bucket look at the CRC too, and an order and a new bucket at all buckets. What disagrees
 * is doubt, and doubt closes the gate for good.
 *
 * A window is made of buckets. (BUCKETS - 1) * width >= window, and the sum is taken over all BUCKETS buckets, so a
 * true window that ends anywhere in the newest bucket lies wholly within the sum: the sum is never less than the true
 * count, and a sum within the ceiling proves the true count is. The price is one bucket: a step is remembered up to
 * 1/24 of the window longer than need be (62.5 min; 25 h). Allowances are for what is remembered.
 *
 * Allowances change with the prescription, and steps made under an earlier one are not forgotten. So:
 *
 *  - a lower allowance takes the place of a higher one when the steps made under the higher one have left the window;
 *    until then the higher one holds. Otherwise every lowering of a rate would stop the therapy for a day.
 *  - grant() adds steps to both allowances, until those made by its end have left the window.
 *
 * The history of steps, with allowances and grants, can be saved and restored, so that it survives a reset. The time
 * between the two counts as none: history ages later than it should, never earlier.
 */
#ifndef THECAL_INTERLOCK_H
#define THECAL_INTERLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Buckets of one window: 24 cover it, one more covers the part of the newest that has not passed yet. */
#define THECAL_INTERLOCK_BUCKETS 25
/** Windows kept. */
#define THECAL_INTERLOCK_WINDOWS 3
/* Which is which. */
#define THECAL_INTERLOCK_HARD 0
#define THECAL_INTERLOCK_HOUR 1
#define THECAL_INTERLOCK_DAY  2
/** The windows of the armed ceiling: hour and day, in this order. */
#define THECAL_INTERLOCK_ARMED_WINDOWS 2

/** How long a step may be remembered in the hour's window, seconds: what its allowance has to be enough for. */
#define THECAL_INTERLOCK_HOUR_REMEMBERED_S 3750u
/** ... and in the day's. */
#define THECAL_INTERLOCK_DAY_REMEMBERED_S 90000u
/** Grants in force at once: as many authorised boluses and primes in what the day's window remembers. */
#define THECAL_INTERLOCK_GRANTS 6
/** Longest time that a grant may be for, seconds. */
#define THECAL_INTERLOCK_LONGEST_GRANT_S 86400u

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

/** Steps that are allowed beside the allowance of the prescription, and for how long. */
struct thecal_interlock_credit {
	uint32_t steps;
	/** Steps made until then are covered: the credit holds until they have left the window. Seconds. */
	uint32_t until_s;
};
_Static_assert(sizeof(struct thecal_interlock_credit) == 8, "layout is shared with Rust");

/** What the pump may do by its own authority. */
struct thecal_interlock_allowances {
	/** Armed or not: one of two words far apart. */
	uint32_t armed;
	/** Most steps in the hour's and in the day's window, of the prescription alone. */
	uint32_t steps[THECAL_INTERLOCK_ARMED_WINDOWS];
	/** The highest allowance of an earlier prescription, while steps made under it are in the window. */
	struct thecal_interlock_credit fading[THECAL_INTERLOCK_ARMED_WINDOWS];
	/** Authorised boluses and primes. */
	struct thecal_interlock_credit grants[THECAL_INTERLOCK_GRANTS];
};
_Static_assert(sizeof(struct thecal_interlock_allowances) ==
		       12 + 8 * (THECAL_INTERLOCK_ARMED_WINDOWS + THECAL_INTERLOCK_GRANTS),
	       "no gaps: all of it goes into the CRC");

/** The gate. Its fields are its own business. */
struct thecal_interlock {
	struct thecal_interlock_window windows[THECAL_INTERLOCK_WINDOWS];
	/** Added to the time since boot: history that was restored goes on in the time it was made in. Microseconds. */
	struct thecal_guarded64 earlier_us;
	struct thecal_guarded32 state;
	struct thecal_interlock_allowances allowances;
	/** All bits of the allowances inverted. */
	struct thecal_interlock_allowances complement;
	/** CRC-32 of the allowances. */
	struct thecal_guarded32 crc;
};
_Static_assert(sizeof(struct thecal_interlock) == THECAL_INTERLOCK_WINDOWS * sizeof(struct thecal_interlock_window) + 16 +
							  8 + 2 * sizeof(struct thecal_interlock_allowances) + 8,
	       "layout is shared with Rust");

/** What is to survive a reset: it has no check of its own, whoever keeps it has. */
struct thecal_interlock_history {
	/** When it was saved, in the time that goes on over resets, microseconds. */
	uint64_t at_us;
	struct thecal_interlock_allowances allowances;
	/** As in the windows of hour and day. */
	uint32_t buckets[THECAL_INTERLOCK_ARMED_WINDOWS][THECAL_INTERLOCK_BUCKETS];
	uint32_t reserved;
};
_Static_assert(sizeof(struct thecal_interlock_history) ==
		       8 + sizeof(struct thecal_interlock_allowances) +
			       4 * THECAL_INTERLOCK_ARMED_WINDOWS * THECAL_INTERLOCK_BUCKETS + 4,
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
 * Hand over the allowances of the prescription in force. Again with every new one, and at every boot.
 *
 * Steps made so far, and grants, stay what they are. 0 is an allowance: of a pump that is stopped.
 *
 * @param hour_steps  most steps in THECAL_INTERLOCK_HOUR_REMEMBERED_S
 * @param day_steps   most steps in THECAL_INTERLOCK_DAY_REMEMBERED_S, hour_steps and more
 * @retval 0        armed
 * @retval -EINVAL  the day's allowance is less than the hour's: nothing changed
 * @retval -EACCES  the gate is not open
 */
int32_t thecal_interlock_arm(struct thecal_interlock *interlock, uint64_t at_us, uint32_t hour_steps,
			     uint32_t day_steps);

/**
 * Add the steps of one authorised bolus or prime to both allowances, until what was made by its end has left the
 * window. Not taken back when it is cancelled: it runs out.
 *
 * @param steps     1 and more
 * @param within_s  when it will be over, seconds from at_us, THECAL_INTERLOCK_LONGEST_GRANT_S at most
 * @retval 0        added
 * @retval -EINVAL  no steps, or too long: nothing changed
 * @retval -EBUSY   THECAL_INTERLOCK_GRANTS are in force: nothing changed
 * @retval -ENOENT  not armed
 * @retval -EACCES  the gate is not open
 */
int32_t thecal_interlock_grant(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps, uint32_t within_s);

/** Whether allowances have been handed over, or restored: 1 or 0. */
uint16_t thecal_interlock_armed(const struct thecal_interlock *interlock);

/**
 * Ask whether an order of so many steps may be accepted, whose first is made at at_us. Makes and counts none.
 *
 * All of them are held against the window that ends with the first, which is the fullest, and only what is allowed for
 * two minutes more counts as allowed. So a yes holds for every step that comes by then, as long as nobody else makes
 * steps.
 *
 * @retval 0        allowed
 * @retval -EACCES  the gate is not open
 * @retval -ENOENT  not armed
 * @retval -EPERM   the hard ceiling would be passed
 * @retval -ENOSPC  the allowance of the hour or the day would be passed
 */
int32_t thecal_interlock_permit(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps);

/**
 * Ask once more when hardware is about to make the steps of an accepted order. As permit(), for the next 65 seconds;
 * but nobody may have accepted what the allowance has no room for: then the gate trips.
 */
int32_t thecal_interlock_confirm(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps);

/**
 * Count steps that were made. A time before an earlier one counts as that earlier one, which forgets nothing.
 *
 * @retval 0        counted
 * @retval -EACCES  the gate is not open: not counted, and nothing can be made any more either
 * @retval -ENOENT  not armed; if there were steps, the gate has tripped
 * @retval -EPERM   that is more than the hard ceiling: the gate has tripped
 * @retval -ENOSPC  that is more than the allowance: the gate has tripped
 */
int32_t thecal_interlock_count(struct thecal_interlock *interlock, uint64_t at_us, uint32_t steps);

/**
 * Ask for one step now and count it if it is allowed. Returns what thecal_interlock_permit() does; a refusal counts
 * nothing. A step for which the allowance has no room trips the gate.
 */
int32_t thecal_interlock_take_step(struct thecal_interlock *interlock, uint64_t at_us);

/** Close the gate until the next boot. A tripped gate stays tripped. */
void thecal_interlock_shut(struct thecal_interlock *interlock);

/** Check every stored word, trip on any that disagrees, and answer THECAL_INTERLOCK_*. */
uint16_t thecal_interlock_state(struct thecal_interlock *interlock);

/**
 * Write what is to survive a reset. Also of a gate that is off or has tripped, as long as its words agree.
 *
 * @param coming  steps accepted and not made yet: they may be when the reset comes, so they count as made
 * @retval 0        written
 * @retval -ENOENT  not armed: there is nothing to keep
 * @retval -EACCES  a word disagrees: nothing written
 */
int32_t thecal_interlock_save(const struct thecal_interlock *interlock, uint64_t at_us, uint32_t coming,
			      struct thecal_interlock_history *history);

/**
 * Go on with what was saved: armed with its allowances, and its steps as if made just now. Once a boot, on an open
 * gate, before anything was armed.
 *
 * @retval 0        gone on
 * @retval -EINVAL  nothing that save() can have written: nothing changed
 * @retval -EACCES  the gate is not open, or armed already
 */
int32_t thecal_interlock_restore(struct thecal_interlock *interlock, uint64_t at_us,
				 const struct thecal_interlock_history *history);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_INTERLOCK_H */
