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

/* Longest emergency card: as long as an attribute can be. */
#define THECAL_LINK_CARD_BYTES 512

/* What a struct thecal_link_event tells. */
#define THECAL_LINK_CONNECTED 1    /* a phone is there; `mtu` is the ATT_MTU so far; `bonded` as far as its address says: not proven */
#define THECAL_LINK_DISCONNECTED 2 /* it is gone */
#define THECAL_LINK_MTU 3          /* `mtu` has changed */
#define THECAL_LINK_FRAME 4        /* one write to Command: `bytes[0..length]` */
#define THECAL_LINK_OVERFLOW 5     /* here frames are missing, for which there was no room; the message is to be dropped */
#define THECAL_LINK_SECURITY 6     /* `security` or `bonded` has changed: encrypted by a bond's keys, or paired */
#define THECAL_LINK_MAGNET 7       /* `held`: a magnet has come or gone; of no session */
#define THECAL_LINK_PACED 8        /* `interval` is how often the two meet; told at the beginning of a connection, and when it changes */

struct thecal_link_event {
	uint32_t session; /* numbers the connections of this boot from 1 */
	uint16_t kind;
	uint16_t mtu;
	uint16_t length;
	uint8_t security; /* level of LE security mode 1: 1 nothing, 4 authenticated Secure Connections; there is nothing between */
	bool bonded;      /* the pump has the keys of this phone; proven when `security` is 4 */
	bool held;        /* the magnet */
	uint8_t bytes[THECAL_LINK_FRAME_BYTES];
	uint8_t reserved;
	uint16_t interval; /* between two connection events, in units of 1.25 ms */
	uint16_t reserved_2;
};
_Static_assert(sizeof(struct thecal_link_event) == 264, "layout is shared with Rust");

/* How the pump shows itself. */
#define THECAL_LINK_ADVERTISE_OFF 0    /* not at all */
#define THECAL_LINK_ADVERTISE_SLOW 1   /* to everybody, at the interval that a phone finds in seconds; scan requests of strangers get no answer */
#define THECAL_LINK_ADVERTISE_FAST 2   /* to everybody, ten times as often: while somebody stands beside it */
#define THECAL_LINK_ADVERTISE_BONDED 3 /* slowly, and only phones with a bond are let in; without a bond as OFF */

/* What stands for no passkey: nobody can pair. Passkeys are 1 to 999,999. */
#define THECAL_LINK_NO_PASSKEY 0
#define THECAL_LINK_HIGHEST_PASSKEY 999999

/*
 * Starts Bluetooth, registers the service and advertises slowly, unless thecal_link_set_advertising() has said otherwise; watches the
 * magnet, if there is one. 0, or a negative errno. Called once, from the link thread, after thecal_link_set_info(). Not armed and without
 * a passkey until told.
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
 * Sets what Response holds and, unless it is empty, indicates it to a subscribed phone, as soon as there is a buffer; of several set
 * meanwhile only the last. It can be read any number of times until it is set again; a phone that is in the midst of reading it in parts
 * gets the rest of what it began. It is empty in a new connection.
 * Refused with -ENOTCONN when `session` is not the present one, -EMSGSIZE when length exceeds the ATT_MTU less 3.
 */
int32_t thecal_link_set_response(uint32_t session, const uint8_t *bytes, uint16_t length);

/* Sets what Info holds (read without authentication). -EMSGSIZE over THECAL_LINK_FRAME_BYTES. */
int32_t thecal_link_set_info(const uint8_t *bytes, uint16_t length);

/* Sets the latched flags of Status changed and notifies a subscribed phone when they differ, as soon as there is a buffer. */
void thecal_link_set_status_changed(uint16_t flags);

/*
 * Whether the pump is armed, that is, whether somebody who stands beside it has asked for it: only then are phones allowed to pair and does
 * the emergency card answer. A pairing that has begun may end after it. Bonded phones come back without it.
 */
void thecal_link_set_armed(bool armed);

/* The passkey of this pump, for good or until it is set again. -EINVAL for what is none; nobody can pair then. */
int32_t thecal_link_set_passkey(uint32_t passkey);

/* How the pump shows itself while no phone is there, from now on. -EINVAL: there is no such way. */
int32_t thecal_link_set_advertising(uint32_t mode);

/*
 * Sets what the emergency card says. It is read without encryption, in a single piece or in parts; a phone in the midst of it gets the rest
 * of what it began. While the pump is not armed, or the card is empty, a read is answered with the ATT error "read not permitted" (0x02). An
 * empty one also ends what a phone is in the midst of. -EMSGSIZE over THECAL_LINK_CARD_BYTES.
 */
int32_t thecal_link_set_card(const uint8_t *bytes, uint16_t length);

/* What the Battery Service says, rounded down to tens of a percent of 100: 0 until set. -EINVAL over 100. */
int32_t thecal_link_set_battery(uint32_t percent);

/* How many phones the pump has a bond with. */
uint32_t thecal_link_bonds(void);

/* Ends the present connection, if it is `session`. */
int32_t thecal_link_disconnect(uint32_t session);

#endif /* THECAL_LINK_H */
