/*
 * The emulated rotor: phases in, angle and quadrature encoder lines out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A two-phase Lavet rotor has two places of rest a revolution. Current in phase A takes it from the even place to the
 * odd one, current in phase B from the odd to the even one, always in the same sense; current in the phase whose place
 * it is at already does nothing. So a pulse turns the rotor half a revolution, one step, only if it is the right phase,
 * alone, and long enough. A slipped step costs two: the pulse after it finds the rotor where it pulls it to.
 *
 * Faults are parameters; chance comes from a seed, so a run can be repeated bit for bit.
 */
#ifndef THECAL_ROTOR_H
#define THECAL_ROTOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What the rotor is like. All zero but minimum_pulse_us and steps_per_encoder_pulse: a faultless one. */
struct thecal_rotor_parameters {
	/** Where chance starts. Looked at by init() alone. */
	uint64_t seed;
	/** The rotor runs by itself: a whole revolution (two steps) every so many microseconds. 0: it does not. */
	uint64_t runaway_period_us;
	/** Shorter pulses do not turn it. What a jam gives way to is this, and a higher drive level a longer pulse. */
	uint32_t minimum_pulse_us;
	/** Steps for one encoder pulse; 0 is taken as 1. */
	uint32_t steps_per_encoder_pulse;
	/** One pulse in so many fails to turn it, by chance. 0: none. */
	uint32_t slip_one_in;
	/** One encoder pulse in so many never shows on the lines, by chance. 0: none. */
	uint32_t lost_pulse_one_in;
	/** One step in so many is followed by a whole extra revolution (two steps), by chance. 0: none. */
	uint32_t extra_one_in;
	/** One encoder pulse in so many shows twice on the lines, by chance. 0: none. */
	uint32_t double_pulse_one_in;
	/** Not 0: it does not turn at all. */
	uint8_t stalled;
	/** Not 0: it turns backward. */
	uint8_t reversed;
	uint8_t reserved[6];
};
_Static_assert(sizeof(struct thecal_rotor_parameters) == 48, "layout is shared with Rust");

/** The rotor. Its fields are its own business but position, which may be read. */
struct thecal_rotor {
	struct thecal_rotor_parameters parameters;
	uint64_t chance;
	/** Steps turned since it was made, forward minus backward: the truth that no encoder fault touches. */
	int64_t position;
	/** Encoder pulses shown on the lines, forward minus backward. */
	int64_t shown;
	/** Since when the phases have been as they are, microseconds. */
	uint64_t phases_since_us;
	/** When it next runs by itself, microseconds; UINT64_MAX: never. */
	uint64_t runaway_at_us;
	/** Steps it is about to turn. */
	uint32_t pending;
	uint8_t phases;
	/** Not 0: the pulse that was shown last is to be shown once more, with this sign. */
	int8_t again;
	uint8_t reserved[2];
};
_Static_assert(sizeof(struct thecal_rotor) == 96, "layout is shared with Rust");

/** Make a rotor at rest in the even place, encoder lines both low. */
void thecal_rotor_init(struct thecal_rotor *rotor, const struct thecal_rotor_parameters *parameters, uint64_t now_us);

/** Change what it is like from now on; angle, lines and the course of chance stay. */
void thecal_rotor_change(struct thecal_rotor *rotor, const struct thecal_rotor_parameters *parameters,
			 uint64_t now_us);

/** Current changes: phases is a mask of THECAL_MOTOR_PHASE_*. Then call turn() until it answers 0. */
void thecal_rotor_phases(struct thecal_rotor *rotor, uint64_t at_us, uint32_t phases);

/** When it moves without being told to; UINT64_MAX: never. */
uint64_t thecal_rotor_next_event_us(const struct thecal_rotor *rotor);

/** Let it do by itself what is due by at_us. Then call turn() until it answers 0. */
void thecal_rotor_advance(struct thecal_rotor *rotor, uint64_t at_us);

/** Turn one pending step, or show a pulse again. Answers 1 if it did, 0 if nothing is pending. Read the lines after each. */
uint32_t thecal_rotor_turn(struct thecal_rotor *rotor);

/** The encoder's lines: bit 0 is line A, bit 1 is line B; forward is 00, 01, 11, 10. */
uint32_t thecal_rotor_encoder(const struct thecal_rotor *rotor);

#ifdef __cplusplus
}
#endif

#endif /* THECAL_ROTOR_H */
