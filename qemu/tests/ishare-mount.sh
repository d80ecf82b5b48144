# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: mount options of page cache sharing, and each way to use them wrongly
# config: EROFS_FS_PAGE_CACHE_SHARE
# image: base share base
# image: plain share plain
# image: badid share badid
# device: blk:base
# device: blk:plain
# device: blk:badid
. /harness/ktap.sh

# refused WORDS COMMAND...: it fails, and the kernel says why
refused()
{
	words=$1
	shift
	dmesg -c > /dev/null
	! "$@" 2> /tmp/said || return 1
	dmesg | tee -a /tmp/said | grep -q "$words" || { cat /tmp/said; return 1; }
}
long=$(head -c 256 /dev/zero | tr '\0' x)

mkdir -p /mnt/x /mnt/y
check "without a domain" refused "needs domain_id=" mount -t erofs -o ro,inode_share /dev/harness/blk0 /mnt/x
check "an empty domain" refused "Bad value for 'domain_id'" mount -t erofs -o ro,inode_share,domain_id= /dev/harness/blk0 /mnt/x
check "a domain of 256 bytes" refused "longer than 255" mount -t erofs -o "ro,inode_share,domain_id=$long" /dev/harness/blk0 /mnt/x
check "a domain and no sharing" refused "add inode_share" mount -t erofs -o ro,domain_id=a /dev/harness/blk0 /mnt/x
check "a broken prefix id" refused "invalid prefix id" mount -t erofs -o ro /dev/harness/blk2 /mnt/x
check "a broken prefix id, shared" refused "invalid prefix id" mount -t erofs -o ro,inode_share,domain_id=a /dev/harness/blk2 /mnt/x

check "a domain of 255 bytes" mount -t erofs -o "ro,inode_share,domain_id=${long#x}" /dev/harness/blk0 /mnt/x
umount /mnt/x

check "mount" mount -t erofs -o ro,inode_share,domain_id=secret /dev/harness/blk0 /mnt/x
check "inode_share is shown" grep -q ' /mnt/x .*inode_share' /proc/self/mountinfo
check "the domain is not" sh -c '! grep -r secret /proc/self/mountinfo /proc/mounts'
check "nor in sysfs" sh -c '! ls -R /sys/fs/erofs | grep secret'
check "content" sh -c "cd /mnt/x && sha256sum -c SHA256SUMS"
check "a remount keeps it" mount -o remount,ro,noacl /mnt/x
check "inode_share is still shown" grep -q ' /mnt/x .*noacl.*inode_share' /proc/self/mountinfo
check "a remount with the same domain" mount -o remount,ro,inode_share,domain_id=secret /mnt/x
check "a remount with another domain" refused "cannot be changed" mount -o remount,ro,domain_id=other /mnt/x
check "the same device again in the domain" mount -t erofs -o ro,inode_share,domain_id=secret /dev/harness/blk0 /mnt/y
umount /mnt/y
mkdir /mnt/z
check "the same device again in another domain" refused "already mounted" mount -t erofs -o ro,inode_share,domain_id=x /dev/harness/blk0 /mnt/z
umount /mnt/x

check "mount without sharing" mount -t erofs -o ro /dev/harness/blk0 /mnt/x
check "a remount does not turn it on" refused "cannot be turned on" mount -o remount,ro,inode_share /mnt/x
check "nor with a domain" refused "cannot be turned on" mount -o remount,ro,inode_share,domain_id=a /mnt/x
check "nor does a second mount" refused "already mounted" mount -t erofs -o ro,inode_share,domain_id=x /dev/harness/blk0 /mnt/y
check "content without sharing" sh -c "cd /mnt/x && sha256sum -c SHA256SUMS"
umount /mnt/x

dmesg -c > /dev/null
check "an image without fingerprints" mount -t erofs -o ro,inode_share,domain_id=a /dev/harness/blk1 /mnt/x
check "which is said" sh -c '[ $(dmesg | grep -c "no fingerprints") = 1 ]'
check "content of it" sh -c "cd /mnt/x && sha256sum -c SHA256SUMS"
umount /mnt/x
check "nothing is left" sh -c "! dmesg | grep -E 'Busy|BUG|WARN'"
done_testing
