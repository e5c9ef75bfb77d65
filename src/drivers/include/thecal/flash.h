/*
 * The flash partitions of the journal, and the page of the production line, by number. No log format here: that is the Rust journal's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef THECAL_FLASH_H
#define THECAL_FLASH_H

#include <stdint.h>

/* Partition numbers; the partitions themselves are the fixed-partitions nodes of the same names in the device tree. */
#define THECAL_FLASH_JOURNAL 0
#define THECAL_FLASH_CRITICAL 1
#define THECAL_FLASH_STATE_A 2
#define THECAL_FLASH_STATE_B 3
#define THECAL_FLASH_PACK 4

/* Geometry that the formats are made for; the driver refuses to start on any other. */
#define THECAL_FLASH_WORD_BYTES 4
#define THECAL_FLASH_PAGE_BYTES 4096

/* Opens the partitions and checks their geometry. 0, or a negative errno. Journal thread only, as all below. */
int32_t thecal_flash_start(void);

/* Size of a partition in bytes, or a negative errno (-EINVAL: no such partition). */
int32_t thecal_flash_size(uint32_t partition);

/* 0, or -EINVAL (no such partition, or outside it), or the flash driver's errno. Time-outs of a radio-synchronised
 * driver (-ETIMEDOUT, -EAGAIN, -EBUSY) are retried inside a bounded number of times before they come out. */
int32_t thecal_flash_read(uint32_t partition, uint32_t offset, uint8_t *bytes, uint32_t length);
int32_t thecal_flash_write(uint32_t partition, uint32_t offset, const uint8_t *bytes, uint32_t length);
int32_t thecal_flash_erase(uint32_t partition, uint32_t offset, uint32_t length);

#endif /* THECAL_FLASH_H */
