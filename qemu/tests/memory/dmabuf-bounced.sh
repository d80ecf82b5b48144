# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: where all DMA is bounced, an image in a dma-buf that no device uses is read in place, of any size
# config: EROFS_FS_DMABUF UDMABUF DMABUF_HEAPS_SYSTEM SWIOTLB
# append: swiotlb=1024,force
# image: tree tree
# device: blk:tree
# tool: mount/erofs-dmabuf
. /harness/ktap.sh

tree=/dev/harness/blk0
# in slots of 2 KiB
swiotlb() { cat /sys/kernel/debug/swiotlb/io_tlb_$1; }

check "all DMA is bounced" said 'software IO TLB'
kib=$(($(wc -c < $tree) >> 10)) pool=$(($(swiotlb nslabs) * 2))
check "the image ($kib KiB) is larger than the bounce buffers ($pool KiB)" test $kib -gt $pool
for how in "" --heap=system; do
	check "mount from ${how:-udmabuf}" /root/erofs-dmabuf $how $tree /mnt
	check "content" content /mnt
	check "links" links /mnt
	check "nothing is bounced" test "$(swiotlb used_hiwater)" = 0
	check "unmount" umount /mnt
done
done_testing
