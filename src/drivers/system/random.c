/*
 * Numbers nobody can foresee.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/system.h>

#include <zephyr/random/random.h>

/* Keys of sessions and bonds hang on it. A driver that is new here has to be looked at before it is named. */
#if !defined(CONFIG_BOARD_NATIVE_SIM) &&                                                                               \
	(defined(CONFIG_TEST_RANDOM_GENERATOR) || defined(CONFIG_TEST_CSPRNG_GENERATOR) ||                             \
	 defined(CONFIG_FAKE_ENTROPY_NATIVE_POSIX) || defined(CONFIG_TIMER_RANDOM_GENERATOR) ||                        \
	 !defined(CONFIG_CSPRNG_ENABLED) || !defined(CONFIG_ENTROPY_NRF5_RNG))
#error "An image for real hardware needs a real entropy source: no generator made for tests, and the random numbers of the chip."
#endif

int32_t thecal_system_random(uint8_t *bytes, uint32_t length)
{
#ifdef CONFIG_CSPRNG_ENABLED
	return sys_csrand_get(bytes, length);
#else
	sys_rand_get(bytes, length);
	return 0;
#endif
}
