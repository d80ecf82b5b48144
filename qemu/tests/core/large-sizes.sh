# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: an inode that claims more blocks than there can be is refused, a large sparse file is not
# config: EROFS_FS VIRTIO_PMEM FS_DAX
# image: sizes crafted sizes
# device: pmem:sizes
# device: blk:sizes
#
# Without "erofs: refuse files that are larger than can be" a read behind the first
# block of /plain warns with DAX, and stops a kernel with CONFIG_EROFS_FS_DEBUG.
. /harness/ktap.sh

for where in pmem0:dax=always blk0:dax=never; do
	check "$where: mount" mount -t erofs -o ${where#*:} /dev/harness/${where%:*} /mnt
	check "$where: a sparse file of 16 TiB and a byte" test "$(stat -c %s /mnt/sparse)" = 17592186044417
	check "$where: its last byte can be read" \
		test "$(dd if=/mnt/sparse bs=1 count=1 iflag=skip_bytes skip=17592186044416 2>/dev/null | wc -c)" = 1
	for file in plain inline full compact dir link negative; do
		fails "$where: no other kind of file is that large: $file" 'tructure needs cleaning' stat -c %s /mnt/$file
		dd if=/mnt/$file of=/dev/null bs=4096 count=1 skip=4294967295 2> /dev/null
	done
	umount /mnt
done
done_testing
