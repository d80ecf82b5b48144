# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: with share_domain mounts share that say nothing of it, and those that name a domain do as they say
# series: 4-share
# config: EROFS_FS_PAGE_CACHE_SHARE
# append: erofs.share_domain=d
# image: base share base
# image: next share next
# image: plain share plain
# device: blk:base
# device: blk:next
# device: blk:plain
. /harness/rc

# shares 1|0 DIR: does the mount on DIR share?
shares() { [ "$(grep -c " $2 .*inode_share" /proc/self/mountinfo)" = "$1" ] || { grep " $2 " /proc/self/mountinfo; return 1; }; }
m="mount -t erofs -o ro"
base=/dev/harness/blk0
next=/dev/harness/blk1
mkdir -p /mnt/x /mnt/y /mnt/z

check "mount without options" $m $base /mnt/x
check "it shares" shares 1 /mnt/x
check "content" content /mnt/x
check "the device can be mounted again without options" $m $base /mnt/y
umount /mnt/y
check "with the options that it has" $m,inode_share,domain_id=d $base /mnt/y
umount /mnt/y
check "in another domain it is refused" sh -c "! $m,inode_share,domain_id=e $base /mnt/y"
check "without sharing, too" sh -c "! $m,domain_id=e $base /mnt/y"
check "a remount" mount -o remount,ro,noacl /mnt/x
check "it shares still" shares 1 /mnt/x
check "another image" $m $next /mnt/y
check "content of it" content /mnt/y
check "bytes are saved" [ "$(counter saved_bytes)" -gt 1000000 ]
check "unmount it" umount /mnt/y

check "domain_id alone does not share" $m,domain_id=d $next /mnt/y
check "no option is shown" shares 0 /mnt/y
check "content without sharing" content /mnt/y
check "the device can be mounted again without options, as it is" $m $next /mnt/z
check "that does not share either" shares 0 /mnt/z
umount /mnt/z
umount /mnt/y
check "another domain" $m,inode_share,domain_id=e $next /mnt/y
check "content in another domain" content /mnt/y
umount /mnt/y

check "an image without fingerprints" $m /dev/harness/blk2 /mnt/y
check "it does not share" shares 0 /mnt/y
check "nothing is said of that" sh -c '! dmesg | grep "no fingerprints"'
check "others do not read the parameter" [ "$(stat -c %a /sys/module/erofs/parameters/share_domain)" = 400 ]
umount /mnt/y
umount /mnt/x
check "nothing is left" [ "$(counter attached)" = 0 ]
check "no complaint of the kernel" kernel_is_content
done_testing
