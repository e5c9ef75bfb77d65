/*
 * The little that a C test needs: named tests, checks that say what they saw, a count at the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_TEST_CHECK_H
#define THECAL_TEST_CHECK_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

static unsigned check_failures;
static unsigned tests_passed;
static unsigned tests_failed;

/* A broken line fails thousands of dense values; the first few say enough. */
#define CHECK_FAILURES_SHOWN 5u

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition) && ++check_failures <= CHECK_FAILURES_SHOWN) {                                        \
			printf("    %s:%d: %s\n", __FILE__, __LINE__, #condition);                                     \
		}                                                                                                      \
	} while (0)

#define CHECK_EQUAL(seen, wanted)                                                                                      \
	do {                                                                                                           \
		const __int128 seen_value = (__int128)(seen);                                                          \
		const __int128 wanted_value = (__int128)(wanted);                                                      \
		if (seen_value != wanted_value && ++check_failures <= CHECK_FAILURES_SHOWN) {                          \
			printf("    %s:%d: %s is %" PRId64 ", wanted %" PRId64 "\n", __FILE__, __LINE__, #seen,        \
			       (int64_t)seen_value, (int64_t)wanted_value);                                            \
		}                                                                                                      \
	} while (0)

#define RUN(test)                                                                                                      \
	do {                                                                                                           \
		check_failures = 0u;                                                                                   \
		test();                                                                                                \
		if (check_failures == 0u) {                                                                            \
			tests_passed++;                                                                                \
			printf("  passed  %s\n", #test);                                                               \
		} else {                                                                                               \
			tests_failed++;                                                                                \
			printf("  FAILED  %s (%u checks)\n", #test, check_failures);                                   \
		}                                                                                                      \
	} while (0)

/* The exit status says whether all passed; the line is what run_host.sh adds up. */
static inline int checked(const char *name)
{
	printf("%s: %u passed, %u failed\n", name, tests_passed, tests_failed);
	return tests_failed == 0u ? 0 : 1;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* SplitMix64, so that random tests are the same everywhere. */
static inline uint64_t test_random(uint64_t *state)
{
	uint64_t value = (*state += 0x9E3779B97F4A7C15u);

	value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
	value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
	return value ^ (value >> 31);
}

#endif /* THECAL_TEST_CHECK_H */
