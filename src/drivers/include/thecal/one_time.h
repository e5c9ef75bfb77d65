/*
 * Bytes that can be written once and that no erase of a flash page reaches. What is in them is the firmware's business.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Journal thread only: it is flash.
 */
#ifndef THECAL_ONE_TIME_H
#define THECAL_ONE_TIME_H

#include <stdint.h>

/* How many there are. */
#define THECAL_ONE_TIME_BYTES 128

/* Written a word at a time. */
#define THECAL_ONE_TIME_WORD_BYTES 4

/* What a byte reads as that was never written. */
#define THECAL_ONE_TIME_ERASED 0xFF

/* Reads the first `length` bytes. 0; -EINVAL when there are not so many; or the flash driver's errno. */
int32_t thecal_one_time_read(uint8_t *bytes, uint32_t length);

/*
 * Writes the first `length` bytes, once and for good, and reads them back. A loss of power in the midst leaves a part of them, and what is
 * missing cannot be written any more: a check belongs into the bytes.
 *
 * 0; -EALREADY when any of them is not erased, and nothing is changed; -EINVAL when there are not so many, or a part of a word;
 * -EIO when they do not read back; or the flash driver's errno.
 */
int32_t thecal_one_time_write(const uint8_t *bytes, uint32_t length);

#endif /* THECAL_ONE_TIME_H */
