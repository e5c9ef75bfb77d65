/*
 * How the pump shows itself to phones.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Whoever asks for a scan response makes the pump receive and send once more, three times an interval, and no quota counts it. So only
 * phones with a bond are answered, but for the time that somebody stands beside the pump: phones that look for a new pump may show one only after
 * its response.
 *
 * The address is a resolvable private one and changes every quarter of an hour (CONFIG_BT_PRIVACY): who has no bond cannot follow the pump.
 */
#include "link_internal.h"

#include <thecal/link.h>

#include <errno.h>

#include <zephyr/bluetooth/bluetooth.h>
#include <zephyr/bluetooth/conn.h>
#include <zephyr/sys/util.h>

/* The advertisement: that this is a pump of this kind, and nothing about which one. All of it fits without a scan response. */
static const struct bt_data advertisement[] = {
	BT_DATA_BYTES(BT_DATA_FLAGS, BT_LE_AD_GENERAL | BT_LE_AD_NO_BREDR),
	BT_DATA_BYTES(BT_DATA_UUID128_ALL, LINK_SERVICE_UUID),
	BT_DATA(BT_DATA_NAME_COMPLETE, CONFIG_BT_DEVICE_NAME, sizeof(CONFIG_BT_DEVICE_NAME) - 1),
};
BUILD_ASSERT(3 + 18 + 2 + sizeof(CONFIG_BT_DEVICE_NAME) - 1 <= 31, "does not fit into an advertisement");

/* From milliseconds to units of 0.625 ms. */
#define INTERVAL(milliseconds) ((milliseconds) * 8 / 5)

struct accepted {
	uint32_t count;
	int result;
};

static void accept(const struct bt_bond_info *bond, void *user_data)
{
	struct accepted *const accepted = user_data;

	if (accepted->result == 0) {
		accepted->result = bt_le_filter_accept_list_add(&bond->addr);
		accepted->count++;
	}
}

/* Makes the controller's accept list that of the bonds. */
static int accept_bonds(void)
{
	struct accepted accepted = {.result = bt_le_filter_accept_list_clear()};

	if (accepted.result == 0) {
		bt_foreach_bond(BT_ID_DEFAULT, accept, &accepted);
	}
	if (accepted.result == 0 && accepted.count == 0) {
		return -ENODATA;
	}
	return accepted.result;
}

int link_advertising_begin(uint32_t mode)
{
	const bool bonded = mode == THECAL_LINK_ADVERTISE_BONDED;
	const uint32_t interval = mode == THECAL_LINK_ADVERTISE_FAST
					  ? INTERVAL(CONFIG_THECAL_LINK_FAST_ADVERTISING_INTERVAL_MS)
					  : INTERVAL(CONFIG_THECAL_LINK_ADVERTISING_INTERVAL_MS);
	uint32_t options = BT_LE_ADV_OPT_CONN;

	if (mode != THECAL_LINK_ADVERTISE_FAST) {
		const int result = accept_bonds();

		/* Of those who are let in anyway, whoever is not on the list gets no scan response, and no more. */
		if (bonded && result != 0) {
			return result;
		}
		options |= BT_LE_ADV_OPT_FILTER_SCAN_REQ | (bonded ? BT_LE_ADV_OPT_FILTER_CONN : 0u);
	}
	return bt_le_adv_start(BT_LE_ADV_PARAM(options, interval, interval, NULL), advertisement, ARRAY_SIZE(advertisement), NULL,
			       0);
}

int link_advertising_end(void)
{
	return bt_le_adv_stop();
}
