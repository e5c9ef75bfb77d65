/*
 * Whether a magnet is held to the pump. What that means is nothing to this driver.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_MAGNET_H
#define THECAL_MAGNET_H

#include <stdbool.h>
#include <stdint.h>

/* Called when a magnet has come or gone, from an interrupt. */
typedef void (*thecal_magnet_changed)(bool held);

/*
 * Begins to watch. `changed` is told of a magnet that is there already, and then of every change that has lasted for the settling time of
 * the device tree. 0, or a negative errno. Called once.
 */
int32_t thecal_magnet_start(thecal_magnet_changed changed);

#endif /* THECAL_MAGNET_H */
