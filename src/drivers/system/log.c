/*
 * Log lines of the Rust application, which come as finished text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <thecal/system.h>

#include <string.h>

#include <zephyr/logging/log.h>
#include <zephyr/sys/util.h>

LOG_MODULE_REGISTER(thecal, CONFIG_THECAL_SYSTEM_LOG_LEVEL);

void thecal_system_log(uint32_t level, const uint8_t *text, uint32_t length)
{
	char line[THECAL_LOG_BYTES + 1];
	const uint32_t used = MIN(length, THECAL_LOG_BYTES);

	memcpy(line, text, used);
	line[used] = '\0';
	switch (level) {
	case THECAL_LOG_ERROR:
		LOG_ERR("%s", line);
		break;
	case THECAL_LOG_WARNING:
		LOG_WRN("%s", line);
		break;
	case THECAL_LOG_INFO:
		LOG_INF("%s", line);
		break;
	default:
		LOG_DBG("%s", line);
		break;
	}
}
