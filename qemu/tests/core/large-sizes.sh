# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: an inode that claims more blocks than there can be is refused or does no harm, a large sparse file can be read
# config: EROFS_FS FS_DAX
# image: sizes crafted sizes
# device: pmem:sizes
# device: blk:sizes
#
# Without "erofs: refuse files that are larger than can be" a read behind the first
# block of /plain warns with DAX, and stops a kernel with CONFIG_EROFS_FS_DEBUG.
# Linux 7.3 counts blocks in 64 bits, so there most of them are just files.
. /harness/ktap.sh

refused() { fails "$1" 'tructure needs cleaning' stat -c %s "$2"; }
case $(uname -r) in
6.*)	counts="plain inline full compact dir link" ;;
*)	counts= ;;
esac

for where in pmem0:dax=always blk0:dax=never; do
	check "$where: mount" mount -t erofs -o ${where#*:} /dev/harness/${where%:*} /mnt
	check "$where: a sparse file of 16 TiB and a byte" test "$(stat -c %s /mnt/sparse)" = 17592186044417
	check "$where: its last byte can be read" \
		test "$(dd if=/mnt/sparse bs=1 count=1 iflag=skip_bytes skip=17592186044416 2>/dev/null | wc -c)" = 1
	for file in $counts negative; do
		refused "$where: no other kind of file is that large: $file" /mnt/$file
	done
	for file in plain inline full compact dir link negative; do
		dd if=/mnt/$file of=/dev/null bs=4096 count=1 skip=4294967295 2> /dev/null
	done
	check "$where: reading behind their ends does no harm" umount /mnt
done
done_testing
