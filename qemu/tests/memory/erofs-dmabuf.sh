# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: erofs-dmabuf mounts an image from memory of udmabuf and of a heap, leaves nothing behind, and says what is wrong
# config: EROFS_FS_DMABUF UDMABUF DMABUF_HEAPS_SYSTEM HUGETLBFS
# image: tree tree
# image: ztree tree -zlz4
# device: blk:tree
# device: blk:ztree
# tool: mount/erofs-dmabuf
. /harness/ktap.sh

limit=/sys/module/udmabuf/parameters/size_limit_mb
tree=/dev/harness/blk0
kib() { awk "/^$1:/ { print \$2 }" /proc/meminfo; }
shows() # DEVICE OPTION...
{
	/root/erofs-dmabuf "$@" /mnt && content /mnt && links /mnt && umount /mnt
}

check "udmabuf" shows $tree
check "a heap" shows --heap=system $tree
check "compressed files" shows /dev/harness/blk1
check "mount" /root/erofs-dmabuf -o nosuid,user_xattr $tree /mnt
check "the options of the mount are there" grep -q ' /mnt erofs ro,nosuid,.*user_xattr' /proc/mounts
check "unmount" umount /mnt
check "options of several -o" /root/erofs-dmabuf -o nosuid -o user_xattr -o nodev $tree /mnt
check "are all there" grep -q ' /mnt erofs ro,nosuid,nodev,.*user_xattr' /proc/mounts
check "unmount" umount /mnt
before=$(kib MemFree)
check "twelve times" sh -c "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do /root/erofs-dmabuf $tree /mnt && umount /mnt || exit 1; done"
sleep 2
size=$(($(wc -c < $tree) / 1024)) after=$(kib MemFree)
check "and the memory is free again ($before, $after KiB; the image has $size)" test $((before - after)) -lt $((6 * size))
# With pages of 64 KiB they have 512 MiB, more than the guest.
if [ "$(kib Hugepagesize)" -le 65536 ]; then
	echo 16 > /proc/sys/vm/nr_hugepages
	huge=$(kib HugePages_Free)
	check "huge pages" /root/erofs-dmabuf -L $tree /mnt
	check "are used" test "$(kib HugePages_Free)" -lt "$huge"
	check "and show what is in the image" content /mnt
	check "unmount" umount /mnt
	check "they are free again" test "$(kib HugePages_Free)" = "$huge"
	echo 0 > /proc/sys/vm/nr_hugepages
	fails "no huge pages are left" 'cannot get .* MiB of huge pages: No space left on device' /root/erofs-dmabuf --huge $tree /mnt
fi

fails "no image" '/root/erofs-dmabuf is not an EROFS image' /root/erofs-dmabuf /root/erofs-dmabuf /mnt
fails "no file" 'cannot open /root/none: No such file or directory' /root/erofs-dmabuf /root/none /mnt
fails "a directory as image" '/root is neither a file nor a block device' /root/erofs-dmabuf /root /mnt
fails "no directory" '/root/none is no directory to mount on' /root/erofs-dmabuf $tree /root/none
fails "no such heap" 'cannot open /dev/dma_heap/none: No such file' /root/erofs-dmabuf -H none $tree /mnt
fails "an option that does not exist" "[Uu]nknown parameter 'nothing'" /root/erofs-dmabuf -o nothing $tree /mnt
fails "an option that cannot be had" 'cannot mount the image: ' /root/erofs-dmabuf -o dax=always $tree /mnt
echo 1 > $limit
fails "a limit of udmabuf" "gives 1 MiB at most; write a larger number to $limit" /root/erofs-dmabuf $tree /mnt
check "which heaps do not have" shows -H system $tree
check "nothing is mounted" sh -c '! grep -q " /mnt " /proc/mounts'
done_testing
