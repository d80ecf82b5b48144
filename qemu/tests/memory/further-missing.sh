# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: an image in memory whose further device is neither given nor there is refused
# config: EROFS_FS_DMABUF DMABUF_HEAPS_SYSTEM
# image: blob share blob
# device: ramdax:blob
# device: blk:blob
# tool: mount/erofs-dmabuf
. /harness/ktap.sh

try_mount() { mount "$@" || return 1; }

node=$(readlink -f /dev/harness/ramdax0)
fails "a DAX device is refused" 'nvalid argument' try_mount -t erofs "$node" /mnt
check "and it is said how much is missing" said 'the image has [0-9]+ bytes, the device only'
fails "so is a dma-buf" 'the image has .* bytes, the device only' /root/erofs-dmabuf -H system /dev/harness/blk0 /mnt
done_testing
