# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a disk that went away under a mount, and came back under the same name, can be mounted again before that mount goes
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX VIRTIO_PMEM
# image: tree tree --fingerprint
# device: pmem:tree
. /harness/ktap.sh

device=$(readlink -f /dev/harness/pmem0)
driver=/sys/bus/nd/drivers/nd_pmem
mkdir -p /b
for options in ro ro,inode_share,domain_id=d ro,dax=always; do
	check "$options: mount" mount -t erofs -o $options $device /mnt
	exec 5< /mnt/data.65536
	echo namespace0.0 > $driver/unbind
	echo namespace0.0 > $driver/bind
	for i in 1 2 3 4 5 6 7 8 9 10; do [ -e $device ] && break; sleep 0.1; done
	check "$options: mount what came back" mount -t erofs -o $options $device /b
	check "$options: its files are right" content /b
	exec 5<&-
	check "$options: unmount what went" umount /mnt
	check "$options: the other one is still there" content /b
	check "$options: unmount it" umount /b
done
done_testing
