# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: images of all layouts share, are mounted and unmounted, read and reclaimed, and each file keeps its bytes
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE BLK_DEV_LOOP EROFS_FS_ZIP_LZMA EROFS_FS_ZIP_DEFLATE EROFS_FS_ZIP_ZSTD
# image: set random-set
# device: blk:set
# cpus: 2
# memory: 256M
# timeout: 300
. /harness/ktap.sh

SECONDS_LONG=25
rc() { wanted=$1; shift; "$@"; [ $? = "$wanted" ]; }

# Mount the image $1 at /m/$1, from a file or from a loop device.
mount_one()
{
	if [ $((RANDOM % 2)) = 0 ]; then
		mount -t erofs -o ro,inode_share,domain_id=d "/box/$1" "/m/$1"
	else
		mount -t erofs -o ro,loop,inode_share,domain_id=d "/box/$1" "/m/$1"
	fi
}

# The name of one of the images
any() { set -- $names; shift $((RANDOM % $#)); echo "$1"; }

going() { [ "$(cut -d. -f1 /proc/uptime)" -lt "$end" ]; }

# Compare all files of any image, again and again.
reader()
{
	while going; do
		cd "/m/$(any)"
		[ -e SHA256SUMS ] || continue	# it is being mounted
		sha256sum -c SHA256SUMS > "/tmp/said.$1" 2>&1 || sed "/: OK\$/d; s,^,$PWD: ," "/tmp/said.$1" >> /tmp/wrong
		echo >> "/tmp/rounds.$1"
	done
}

# Let go of an image while it is read, and mount it again.
mounter()
{
	while going; do
		name=$(any)
		umount -l "/m/$name" && mount_one "$name" || echo "mount of $name: $?" >> /tmp/wrong
	done
}

dropper()
{
	while going; do
		echo $((RANDOM % 3 + 1)) > /proc/sys/vm/drop_caches
		usleep $((RANDOM % 1000 * 300))
	done
}

mkdir -p /box /m
check "mount the images" mount -t erofs -o ro /dev/harness/blk0 /box
names=$(ls /box)
for name in $names; do
	mkdir "/m/$name"
	check "mount $name" mount_one "$name"
done
for name in $names; do
	check "$name has the right bytes" content "/m/$name"
done
check "page cache is saved" test "$(cat /sys/fs/erofs/inode_share/saved_bytes)" -gt 1000000

: > /tmp/wrong
end=$(($(cut -d. -f1 /proc/uptime) + SECONDS_LONG))
reader 1 & reader 2 & reader 3 & mounter & dropper &
wait
rounds=$(cat /tmp/rounds.* | wc -l)
check "nothing was wrong in $rounds rounds" rc 1 grep -m5 . /tmp/wrong
check "there were some" test "$rounds" -gt 5
for name in $names; do
	check "$name has the right bytes afterwards" content "/m/$name"
done
for name in $names; do
	check "unmount $name" umount "/m/$name"
done
check "nothing is shared any more" test "$(cat /sys/fs/erofs/inode_share/saved_bytes)" = 0
check "unmount the images" umount /box
done_testing
