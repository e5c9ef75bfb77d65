/*
 * The carrier between a phone and the pump: a GATT service. Moves frames and knows nothing of what they say.
 *
 * C owns the Bluetooth stack; Rust's link thread owns the session. Everything crosses as fixed-width values, and C never
 * keeps a pointer that Rust gave it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_LINK_H
#define THECAL_LINK_H

#include <stdbool.h>
#include <stdint.h>

/* Longest frame: the largest ATT_MTU of the design, 247, less 3 octets of ATT header. */
#define THECAL_LINK_FRAME_BYTES 244

/* What a struct thecal_link_event tells. */
#define THECAL_LINK_CONNECTED 1    /* a phone is there; `mtu` is the ATT_MTU so far */
#define THECAL_LINK_DISCONNECTED 2 /* it is gone */
#define THECAL_LINK_MTU 3          /* `mtu` has changed */
#define THECAL_LINK_FRAME 4        /* one write to Command: `bytes[0..length]` */
#define THECAL_LINK_OVERFLOW 5     /* here frames are missing, for which there was no room; the message is to be dropped */

struct thecal_link_event {
	uint32_t session; /* numbers the connections of this boot from 1 */
	uint16_t kind;
	uint16_t mtu;
	uint16_t length;
	uint8_t bytes[THECAL_LINK_FRAME_BYTES];
	uint8_t reserved[2];
};
_Static_assert(sizeof(struct thecal_link_event) == 256, "layout is shared with Rust");

/*
 * Starts Bluetooth, registers the service and advertises. 0, or a negative errno. Called once, from the link thread, after
 * thecal_link_set_info().
 */
int32_t thecal_link_start(void);

/*
 * Waits for the next event, at most timeout_ms milliseconds (0: does not wait). Link thread only, as is every function below but
 * thecal_link_wake().
 * 0 and *event filled; -EAGAIN when there was none in time.
 *
 * The pump advertises again when this is called after a DISCONNECTED was taken: what is set in between (Info with another nonce) is in
 * place before the next phone can be there.
 */
int32_t thecal_link_receive(struct thecal_link_event *event, uint32_t timeout_ms);

/* Makes a waiting thecal_link_receive, or the next one, return -EAGAIN at once when there is no event. Any context. */
void thecal_link_wake(void);

/*
 * Sets what Response holds and, unless it is empty, indicates it to a subscribed phone. It can be read any number of times until it
 * is set again; a phone that is in the midst of reading it in parts gets the rest of what it began. It is empty in a new connection.
 * Refused with -ENOTCONN when `session` is not the present one, -EMSGSIZE when length exceeds the ATT_MTU less 3.
 */
int32_t thecal_link_set_response(uint32_t session, const uint8_t *bytes, uint16_t length);

/* Sets what Info holds (read without authentication). -EMSGSIZE over THECAL_LINK_FRAME_BYTES. */
int32_t thecal_link_set_info(const uint8_t *bytes, uint16_t length);

/* Sets the latched flags of Status changed and notifies a subscribed phone when they differ. */
int32_t thecal_link_set_status_changed(uint16_t flags);

/* Ends the present connection, if it is `session`. */
int32_t thecal_link_disconnect(uint32_t session);

#endif /* THECAL_LINK_H */
