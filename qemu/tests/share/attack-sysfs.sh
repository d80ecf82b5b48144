# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: whatever is written to the files of mounts in sysfs, their files keep their bytes
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_RAMDAX
# image: tree tree --fingerprint -zlz4
# image: plain tree --dax
# device: blk:tree
# device: pmem:plain
# device: ramdax:plain
# cpus: 2
# timeout: 200
. /harness/ktap.sh
mkdir -p /disk /pmem /memory
check "mount a disk" mount -t erofs -o ro,inode_share,domain_id=d /dev/harness/blk0 /disk
check "mount a pmem" mount -t erofs -o ro,dax=always /dev/harness/pmem0 /pmem
check "mount a DAX device" mount -t erofs -o ro /dev/harness/ramdax0 /memory
for value in 0 3 -1 4097 18446744073709551616 "" x; do
	wrote=0
	for file in $(find /sys/fs/erofs -type f); do
		cat "$file" > /dev/null 2>&1
		echo "$value" 2> /dev/null > "$file" && wrote=$((wrote + 1))
	done
	echo 3 > /proc/sys/vm/drop_caches
	for dir in /disk /pmem /memory; do
		check "$dir with '$value', which $wrote files took" content $dir
	done
done
check "unmount all" umount /disk /pmem /memory
done_testing
