/*
 * What the files of the link say to each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_LINK_INTERNAL_H
#define THECAL_LINK_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <zephyr/bluetooth/addr.h>
#include <zephyr/bluetooth/conn.h>
#include <zephyr/bluetooth/uuid.h>

/* How long until it is tried again to send what found no buffer. */
#define LINK_SEND_RETRY_MS 100

/* link_gatt.c */

#define LINK_SERVICE_UUID BT_UUID_128_ENCODE(0x6a3e0001, 0x1f0d, 0x4b59, 0x9c1e, 0x7d5a0c9be4f2)

/* Security or bond of a connection may have changed. Bluetooth's receiving thread. */
void link_security_changed(struct bt_conn *conn);

/* link_security.c */

/* Before Bluetooth is enabled. */
int link_security_prepare(void);

/* After it is, and its settings are loaded. */
int link_security_start(void);

/* Whether somebody who stands beside the pump has asked for it. Any context. */
bool link_security_armed(void);

/* Whether there is a bond with this address. Any thread. */
bool link_security_is_bond(const bt_addr_le_t *address);

/* Makes room for the next bond, if a new one has taken the last. Link thread. */
void link_security_look_after(void);

/* link_advertising.c */

/* Begins to advertise. 0, -ENODATA when the mode is for bonded phones and there are none, or a negative errno. Link thread. */
int link_advertising_begin(uint32_t mode);

/* Ends it. Link thread. */
int link_advertising_end(void);

#endif /* THECAL_LINK_INTERNAL_H */
