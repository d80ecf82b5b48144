# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a mount shares if it says so and not else, and two mounts of a device never differ in that
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE EROFS_FS_BACKED_BY_FILE
# image: base share base
# image: next share next
# image: box share box
# image: plain share plain
# image: badid share badid
# device: blk:base
# device: blk:next
# device: blk:box
# device: blk:plain
# device: blk:badid
. /harness/ktap.sh

# refused WORDS COMMAND...: it fails, and the kernel says why
refused()
{
	words=$1
	shift
	dmesg -c > /dev/null
	! "$@" 2> /tmp/said || { echo "got success"; return 1; }
	dmesg | tee -a /tmp/said | grep -q "$words" || { cat /tmp/said; return 1; }
}
# shares 1|0: does /mnt/x share?
shares() { [ "$(grep -c ' /mnt/x .*inode_share' /proc/self/mountinfo)" = "$1" ] || { grep /mnt/x /proc/self/mountinfo; return 1; }; }
attached() { n=$(cat /sys/fs/erofs/inode_share/attached); [ "$n" = "$1" ] || { echo "got $n, want $1"; return 1; }; }
content() { (cd "$1" && sha256sum -c SHA256SUMS); }
m="mount -t erofs -o ro"
base=/dev/harness/blk0
next=/dev/harness/blk1
badid=/dev/harness/blk4
long=$(head -c 256 /dev/zero | tr '\0' x)
mkdir -p /mnt/x /mnt/y /mnt/z /mnt/box

check "inode_share alone is refused" refused "needs domain_id=" $m,inode_share $base /mnt/x
check "an empty domain is refused" refused "Bad value for 'domain_id'" $m,inode_share,domain_id= $base /mnt/x
check "a domain of 256 bytes is refused" refused "longer than 255" $m,inode_share,domain_id=$long $base /mnt/x
check "a broken prefix id is refused" refused "invalid \(ishare xattr \)\?prefix id" $m $badid /mnt/x
check "with sharing, too" refused "invalid \(ishare xattr \)\?prefix id" $m,inode_share,domain_id=a $badid /mnt/x
check "noinode_share is no option" refused "noinode_share" $m,noinode_share,domain_id=d $base /mnt/x
check "a domain of 255 bytes" $m,inode_share,domain_id="${long#x}" $base /mnt/x
umount /mnt/x

check "domain_id alone is taken" $m,domain_id=d $base /mnt/x
check "it shares nothing: no option is shown" shares 0
check "content" content /mnt/x
check "no file is attached" attached 0
check "the device can be mounted again without options" $m $base /mnt/y
umount /mnt/y
check "it can be mounted again with a domain" $m,domain_id=d $base /mnt/y
umount /mnt/y
check "but not with sharing" refused "already mounted" $m,inode_share,domain_id=d $base /mnt/y
check "a remount does not turn sharing on" refused "cannot be turned on" mount -o remount,ro,inode_share /mnt/x
check "nor one with the domain" refused "cannot be turned on" mount -o remount,ro,inode_share,domain_id=d /mnt/x
check "a remount with the domain alone" mount -o remount,ro,domain_id=d /mnt/x
check "it shares nothing still" shares 0
check "no file is attached still" attached 0
check "content without sharing" content /mnt/x
umount /mnt/x

check "inode_share with a domain" $m,inode_share,domain_id=secret $base /mnt/x
check "it is shown" shares 1
check "the domain is not" sh -c '! grep -r secret /proc/self/mountinfo /proc/mounts'
check "nor in sysfs" sh -c '! ls -R /sys/fs/erofs | grep secret'
check "content of it" content /mnt/x
check "a second mount without inode_share is refused" refused "already mounted" $m $base /mnt/y
check "a second mount with a domain alone is refused" refused "already mounted" $m,domain_id=secret $base /mnt/y
check "a second mount in another domain is refused" refused "already mounted" $m,inode_share,domain_id=e $base /mnt/y
check "a second mount that says the same is taken" $m,inode_share,domain_id=secret $base /mnt/y
check "content of the second mount" content /mnt/y
umount /mnt/y
check "a remount cannot change the domain" refused "cannot be changed" mount -o remount,ro,inode_share,domain_id=e /mnt/x
check "nor can one with the domain alone" refused "cannot be changed" mount -o remount,ro,domain_id=e /mnt/x
check "a remount with the same domain" mount -o remount,ro,inode_share,domain_id=secret /mnt/x
check "a remount that says nothing of it" mount -o remount,ro,noacl /mnt/x
check "it shares still" shares 1
check "content after all that" content /mnt/x
n=$(cat /sys/fs/erofs/inode_share/attached)
check "another image in the domain" $m,inode_share,domain_id=secret $next /mnt/z
check "content of the other image" content /mnt/z
check "its files are attached" [ "$(cat /sys/fs/erofs/inode_share/attached)" -gt "$n" ]
umount /mnt/z
umount /mnt/x

# a file as source: each mount is one of its own
check "mount a box" $m /dev/harness/blk2 /mnt/box
check "a file with domain_id alone" $m,domain_id=d /mnt/box/image /mnt/x
check "content of the file's image" content /mnt/x
check "no file of it is attached" attached 0
umount /mnt/x
check "a file with sharing" $m,inode_share,domain_id=d /mnt/box/image /mnt/x
check "content of it, shared" content /mnt/x
umount /mnt/x
umount /mnt/box

dmesg -c > /dev/null
check "an image without fingerprints" $m,inode_share,domain_id=a /dev/harness/blk3 /mnt/x
check "which is said" sh -c '[ $(dmesg | grep -c "no fingerprints") = 1 ]'
check "content of that" content /mnt/x
umount /mnt/x
check "nothing is left" attached 0
check "no complaint of the kernel" sh -c "! dmesg | grep -E 'Busy inodes|BUG|WARN'"
done_testing
