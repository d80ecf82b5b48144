# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: what lies behind the end of a device, a directory or compressed data is not used
# config: EROFS_FS VIRTIO_PMEM FS_DAX
# image: bounds bounds
# image: fragment enlarged 20000 0xfffff000 -zlz4hc -Eall-fragments
# image: deflate enlarged 1500 6500 -zdeflate -Elegacy-compress
# device: pmem:bounds
# device: blk:fragment
# device: blk:deflate
. /harness/ktap.sh

# Both ends of the lookup see the same directory: without "erofs: do not look for
# names behind the end of a directory", /dir has "zz" for stat and "z" for ls.
for options in dax=always dax=never; do
	check "$options: mount" mount -t erofs -o $options /dev/harness/pmem0 /mnt
	check "$options: a sound file can be read" test "$(wc -l < /mnt/good)" = 2000
	fails "$options: data outside of the device" 'nput/output error' cat /mnt/data
	fails "$options: an inode outside of the device" 'nput/output error|tructure needs cleaning' cat /mnt/inode
	check "$options: a name ends where the directory does" test "$(ls /mnt/dir)" = "$(printf 'a\nz')"
	check "$options: it is found" test -e /mnt/dir/z
	check "$options: it does not go on behind the end" test ! -e /mnt/dir/zz
	umount /mnt
done

# Without "erofs: do not take a short DEFLATE stream for a whole one" the last 107
# bytes are whatever was in memory before.
check "mount a file that has less than it claims" mount -t erofs /dev/harness/blk1 /mnt
fails "what it has not is an error" 'nput/output error|tructure needs cleaning' cat /mnt/file
umount /mnt

# Without "erofs: do not read all of a fragment for one page" this takes all memory.
cached() { awk '/^Cached:/ { print $2 }' /proc/meminfo; }
before=$(cached)
check "mount a file of 4 GiB that there is not" mount -t erofs /dev/harness/blk0 /mnt
check "its first byte is there at once" timeout 15 sh -c 'test "$(head -c 1 /mnt/file)" = 1'
after=$(cached)
check "it does not bring the rest into the page cache: $((after - before)) KiB" test $((after - before)) -lt 16384
umount /mnt
done_testing
