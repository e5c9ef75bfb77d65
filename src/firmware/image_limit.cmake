# SPDX-License-Identifier: Apache-2.0
#
# Fails the build when the image is longer than its slot may hold: cmake -D IMAGE=... -D LIMIT_KB=... -P image_limit.cmake

# Header and signature of the boot loader: imgtool puts the hash, the key's hash and the signature behind the image.
set(SIGNATURE_BYTES 512)

file(SIZE ${IMAGE} bytes)
math(EXPR used "${bytes} + ${SIGNATURE_BYTES}")
math(EXPR limit "${LIMIT_KB} * 1024")
if(used GREATER limit)
  math(EXPR over "${used} - ${limit}")
  message(FATAL_ERROR
    "The image is too long: ${bytes} bytes and ${SIGNATURE_BYTES} for its signature are ${over} more than the ${LIMIT_KB} KB that a slot of this "
    "board may hold (CONFIG_THECAL_IMAGE_LIMIT_KB).")
endif()
math(EXPR left "${limit} - ${used}")
message(STATUS "Image: ${bytes} bytes; ${left} bytes below the limit of ${LIMIT_KB} KB")
