/*
 * Numbers nobody can foresee.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/system.h>

#include <zephyr/random/random.h>

#if !defined(CONFIG_ARCH_POSIX) && (defined(CONFIG_TEST_RANDOM_GENERATOR) || !defined(CONFIG_CSPRNG_ENABLED))
#error "An image for real hardware needs a real entropy source."
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
