/*
 * Retained bytes: the newest whole ones come back, whatever was damaged and wherever a reset broke in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <zephyr/devicetree.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/crc.h>
#include <zephyr/ztest.h>

#include <thecal/retained.h>
#include <thecal/system.h>

#include "retained.h"

static uint8_t back[THECAL_RETAINED_BYTES];

#if !DT_NODE_EXISTS(DT_CHOSEN(thecal_retained))

ZTEST_SUITE(not_retained, NULL, NULL, NULL, NULL, NULL);

ZTEST(not_retained, test_a_machine_that_retains_nothing_says_so)
{
	struct thecal_interlock_history history = {0};
	struct thecal_reset reset;

	zassert_equal(thecal_retained_write(back, sizeof(back)), -ENODEV);
	zassert_equal(thecal_retained_write(back, sizeof(back) + 1), -EINVAL);
	zassert_equal(thecal_retained_read(back, sizeof(back)), -ENODEV);
	zassert_equal(thecal_retained_history_write(&history), -ENODEV);
	zassert_equal(thecal_retained_history_read(&history), -ENODEV);
	thecal_retained_history_forget();
	thecal_system_retain_fatal(4, 5);
	thecal_system_reset_cause(&reset);
	zassert_equal(reset.cause, THECAL_RESET_POWER_ON);
}

#else

/* Everything that is in the two slots. */
struct slots {
	struct thecal_retained_slot slot[THECAL_RETAINED_SLOTS];
};

/* The memory is RAM of the process: what is volatile for the driver is ordinary here. */
static struct thecal_retained_memory *memory(void)
{
	return (struct thecal_retained_memory *)thecal_retained_memory();
}

static uint8_t *slot_bytes(uint32_t number)
{
	return (uint8_t *)&memory()->slots[number];
}

static void see(struct slots *slots)
{
	memcpy(slots, memory()->slots, sizeof(*slots));
}

static void put_back(const struct slots *slots)
{
	memcpy(memory()->slots, slots, sizeof(*slots));
}

static uint32_t other(uint32_t number)
{
	return THECAL_RETAINED_SLOTS - 1u - number;
}

/* The slot in which two states of the memory differ. */
static uint32_t changed(const struct slots *before, const struct slots *after)
{
	const uint32_t number = memcmp(&before->slot[0], &after->slot[0], sizeof(before->slot[0])) != 0 ? 0u : 1u;

	zassert_mem_equal(&before->slot[other(number)], &after->slot[other(number)], sizeof(before->slot[0]),
			  "a write touches one slot only");
	return number;
}

/* `length` bytes that begin with `mark`, and none of which says what the memory held before. */
static const uint8_t *marked(uint8_t mark, uint32_t length)
{
	static uint8_t bytes[THECAL_RETAINED_BYTES];

	for (uint32_t at = 0; at < length; at++) {
		bytes[at] = (uint8_t)(mark + 7u * at);
	}
	return bytes;
}

static void keep(uint8_t mark, uint32_t length)
{
	zassert_ok(thecal_retained_write(marked(mark, length), length));
}

static bool reads(uint8_t mark, uint32_t length)
{
	memset(back, 0xA5, sizeof(back));
	return thecal_retained_read(back, sizeof(back)) == (int32_t)length && memcmp(back, marked(mark, length), length) == 0;
}

static void lose_power(void *fixture)
{
	ARG_UNUSED(fixture);
	memset(memory(), 0xFF, sizeof(*memory()));
}

ZTEST_SUITE(retained, NULL, NULL, lose_power, NULL, NULL);

ZTEST(retained, test_nothing_is_there_after_a_loss_of_power)
{
	static const uint8_t contents[] = {0x00, 0xFF, 0x55, 0xA3};

	for (uint32_t kind = 0; kind < ARRAY_SIZE(contents); kind++) {
		memset(memory(), contents[kind], sizeof(*memory()));
		zassert_equal(thecal_retained_read(back, sizeof(back)), -ENODATA, "%#x", contents[kind]);
		keep(1u, 20u);
		zassert_true(reads(1u, 20u), "%#x", contents[kind]);
	}
}

ZTEST(retained, test_the_newest_comes_back_whatever_its_length)
{
	for (uint32_t length = 0; length <= THECAL_RETAINED_BYTES; length++) {
		keep((uint8_t)(3u * length), length);
		zassert_true(reads((uint8_t)(3u * length), length), "%u", length);
		/* Reading changes nothing. */
		zassert_true(reads((uint8_t)(3u * length), length), "%u", length);
	}
}

ZTEST(retained, test_too_much_and_too_little_room_are_refused)
{
	const uint8_t long_one[THECAL_RETAINED_BYTES + 1] = {0};

	keep(9u, 40u);
	zassert_equal(thecal_retained_write(long_one, sizeof(long_one)), -EINVAL);
	zassert_equal(thecal_retained_write(long_one, UINT32_MAX), -EINVAL);
	zassert_equal(thecal_retained_read(back, sizeof(back) - 1), -EINVAL);
	zassert_true(reads(9u, 40u));
}

ZTEST(retained, test_slots_are_written_in_turn_and_each_write_touches_the_older)
{
	struct slots before;
	struct slots after;
	uint32_t last;

	keep(0u, 8u);
	keep(1u, 8u);
	see(&before);
	keep(2u, 8u);
	see(&after);
	last = changed(&before, &after);
	for (uint8_t mark = 3u; mark < 50u; mark++) {
		before = after;
		keep(mark, 8u);
		see(&after);
		zassert_equal(changed(&before, &after), other(last), "%u", mark);
		last = other(last);
		zassert_true(reads(mark, 8u), "%u", mark);
	}
}

ZTEST(retained, test_sequences_go_round)
{
	/* Both slots whole, with the sequence just below its end: reached by making the newest slot so and writing once more. */
	for (uint32_t start = UINT32_MAX - 3u; start != 3u; start++) {
		lose_power(NULL);
		keep(1u, 8u);
		memory()->slots[0].sequence = start;
		memory()->slots[0].crc = crc32_ieee(slot_bytes(0u), offsetof(struct thecal_retained_slot, crc));
		zassert_true(reads(1u, 8u));
		for (uint8_t mark = 2u; mark < 10u; mark++) {
			keep(mark, 8u);
			zassert_true(reads(mark, 8u), "%u after %u", mark, start);
		}
	}
}

ZTEST(retained, test_any_flipped_bit_of_the_newest_brings_the_other_back)
{
	struct slots before;
	struct slots whole;
	uint32_t newest;

	for (uint32_t turn = 0; turn < THECAL_RETAINED_SLOTS; turn++) {
		keep((uint8_t)(10u + turn), 70u);
		see(&before);
		keep((uint8_t)(11u + turn), 33u);
		see(&whole);
		newest = changed(&before, &whole);
		for (uint32_t bit = 0; bit < 8u * sizeof(struct thecal_retained_slot); bit++) {
			slot_bytes(newest)[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
			zassert_true(reads((uint8_t)(10u + turn), 70u), "bit %u", bit);
			/* The next write is made over the damaged one, so that a reset within it would leave the good one. */
			keep(99u, 5u);
			zassert_true(reads(99u, 5u), "bit %u", bit);
			zassert_mem_equal(slot_bytes(other(newest)), &whole.slot[other(newest)], sizeof(whole.slot[0]), "bit %u", bit);
			put_back(&whole);
			/* And of the older: nothing is noticed. */
			slot_bytes(other(newest))[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
			zassert_true(reads((uint8_t)(11u + turn), 33u), "bit %u", bit);
			put_back(&whole);
		}
	}
}

ZTEST(retained, test_both_damaged_is_nothing)
{
	keep(1u, 96u);
	keep(2u, 96u);
	slot_bytes(0u)[20] ^= 1u;
	slot_bytes(1u)[50] ^= 0x80u;
	zassert_equal(thecal_retained_read(back, sizeof(back)), -ENODATA);
	keep(3u, 12u);
	zassert_true(reads(3u, 12u));
}

/* A length that is too great must not be believed, even with its CRC. */
ZTEST(retained, test_a_length_beyond_the_slot_is_not_believed)
{
	keep(1u, 96u);
	memory()->slots[0].length = THECAL_RETAINED_BYTES + 1u;
	memory()->slots[0].crc = crc32_ieee(slot_bytes(0u), offsetof(struct thecal_retained_slot, crc));
	zassert_equal(thecal_retained_read(back, sizeof(back)), -ENODATA);
}

/* What a reset leaves of a write: in the driver's own order of words, and as if it had none. */
static void tear(const struct slots *before, const struct slots *after, uint32_t written, uint32_t kind)
{
	const uint32_t number = changed(before, after);
	const uint8_t *const whole = (const uint8_t *)&after->slot[number];
	uint8_t *const there = slot_bytes(number);
	const uint32_t size = sizeof(struct thecal_retained_slot);
	const uint32_t magic = sizeof(after->slot[0].magic);
	uint32_t done = 0;

	put_back(before);
	switch (kind) {
	case 0: /* from the front */
		memcpy(there, whole, written);
		return;
	case 1: /* from the back */
		memcpy(&there[size - written], &whole[size - written], written);
		return;
	default: /* the magic away, the rest, the magic */
		for (uint32_t at = 0; at < magic && done < written; at++, done++) {
			there[at] = 0u;
		}
		for (uint32_t at = magic; at < size && done < written; at++, done++) {
			there[at] = whole[at];
		}
		for (uint32_t at = 0; at < magic && done < written; at++, done++) {
			there[at] = whole[at];
		}
		return;
	}
}

ZTEST(retained, test_a_write_torn_at_any_byte_leaves_the_old_or_the_new)
{
	const uint32_t size = sizeof(struct thecal_retained_slot);
	struct slots before;
	struct slots after;

	for (uint32_t turn = 0; turn < 3u; turn++) {
		keep((uint8_t)(30u + turn), 96u - turn);
		see(&before);
		keep((uint8_t)(31u + turn), 80u + turn);
		see(&after);
		for (uint32_t kind = 0; kind < 3u; kind++) {
			const uint32_t steps = kind == 2u ? size + sizeof(after.slot[0].magic) : size;

			for (uint32_t written = 0; written <= steps; written++) {
				const bool done = written == steps;

				tear(&before, &after, written, kind);
				/* Bytes that were the same before need not be written to be there. */
				zassert_true(reads((uint8_t)(30u + turn), 96u - turn) ||
						     (memcmp(memory()->slots, &after, sizeof(after)) == 0 &&
						      reads((uint8_t)(31u + turn), 80u + turn)),
					     "kind %u, byte %u", kind, written);
				zassert_true(!done || reads((uint8_t)(31u + turn), 80u + turn));
				/* The pump goes on from there. */
				keep(200u, 96u);
				zassert_true(reads(200u, 96u), "kind %u, byte %u", kind, written);
			}
		}
		put_back(&before);
	}
}

ZTEST(retained, test_the_first_write_of_all_torn_at_any_byte_leaves_nothing_or_the_new)
{
	struct slots before;
	struct slots after;

	see(&before);
	keep(60u, 96u);
	see(&after);
	for (uint32_t written = 0; written < sizeof(struct thecal_retained_slot) + sizeof(uint32_t); written++) {
		tear(&before, &after, written, 2u);
		zassert_equal(thecal_retained_read(back, sizeof(back)), -ENODATA, "byte %u", written);
	}
}

/* ---- The interlock's history: slots of the same kind, beside those for bytes ---- */

static const struct thecal_interlock_history *history_of(uint32_t mark)
{
	static struct thecal_interlock_history history;
	uint8_t *const bytes = (uint8_t *)&history;

	for (uint32_t at = 0; at < sizeof(history); at++) {
		bytes[at] = (uint8_t)(mark + 5u * at);
	}
	return &history;
}

static bool history_reads(uint32_t mark)
{
	struct thecal_interlock_history history;

	memset(&history, 0xA5, sizeof(history));
	return thecal_retained_history_read(&history) == 0 && memcmp(&history, history_of(mark), sizeof(history)) == 0;
}

ZTEST(retained, test_a_history_comes_back_until_it_is_forgotten)
{
	struct thecal_interlock_history history;

	zassert_equal(thecal_retained_history_read(&history), -ENODATA);
	for (uint32_t mark = 0u; mark < 10u; mark++) {
		zassert_ok(thecal_retained_history_write(history_of(mark)));
		zassert_true(history_reads(mark), "%u", mark);
	}
	/* In neither slot. */
	thecal_retained_history_forget();
	zassert_equal(thecal_retained_history_read(&history), -ENODATA);
	zassert_ok(thecal_retained_history_write(history_of(20u)));
	zassert_true(history_reads(20u));
}

ZTEST(retained, test_any_flipped_bit_of_the_newest_history_brings_the_other_back)
{
	uint8_t *const newest = (uint8_t *)&memory()->histories[1];

	zassert_ok(thecal_retained_history_write(history_of(1u)));
	zassert_ok(thecal_retained_history_write(history_of(2u)));
	for (uint32_t bit = 0; bit < 8u * sizeof(struct thecal_retained_history); bit++) {
		newest[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
		zassert_true(history_reads(1u), "bit %u", bit);
		newest[bit / 8u] ^= (uint8_t)(1u << (bit % 8u));
		zassert_true(history_reads(2u), "bit %u", bit);
	}
}

ZTEST(retained, test_bytes_and_history_leave_each_other_alone)
{
	for (uint32_t mark = 0u; mark < 5u; mark++) {
		zassert_ok(thecal_retained_history_write(history_of(mark)));
		keep((uint8_t)(40u + mark), 96u);
		zassert_true(history_reads(mark));
		zassert_true(reads((uint8_t)(40u + mark), 96u));
	}
	thecal_retained_history_forget();
	zassert_true(reads(44u, 96u));
}

/* They lie side by side: neither may touch the other. */
ZTEST(retained, test_a_fatal_error_and_the_bytes_are_kept_beside_each_other)
{
	struct thecal_retained_fatal fatal;

	thecal_system_retain_fatal(4u, 0x1234u);
	memcpy(&fatal, &memory()->fatal, sizeof(fatal));
	zassert_equal(fatal.reason, 4u);
	keep(70u, 96u);
	keep(71u, 96u);
	zassert_mem_equal(&memory()->fatal, &fatal, sizeof(fatal));
	thecal_system_retain_fatal(5u, 0x5678u);
	zassert_true(reads(71u, 96u));
}

#endif
