# SPDX-License-Identifier: GPL-2.0-or-later
#
# module.sh - the package's module on Debian's own kernel, and that kernel's own afterwards
#
# ci/t/dkms.t runs it in a guest of the harness, which has loaded the package's module. The images on
# /dev/harness/blk0 and blk1 have the same files; /root/own.ko is the kernel's own module.
. /harness/ktap.sh
. /root/meminfo.sh

both() # OPTIONS
{
	mount -t erofs -o "$1" /dev/harness/blk0 /mnt/a && mount -t erofs -o "$1" /dev/harness/blk1 /mnt/b
}
read_both() { find /mnt/a /mnt/b -type f -exec cat {} + > /dev/null; }
unmount() { umount /mnt/a /mnt/b; }
# Shared inodes of the last mount go a moment after it, in a queue of the kernel, and hold the module.
unload() { for _ in 1 2 3 4 5; do rmmod erofs 2> /dev/null && return; sleep 1; done; rmmod erofs; }
saved() { cat /sys/fs/erofs/inode_share/saved_bytes; }
# That it is no part of the kernel is said once.
complaints()
{
	dmesg -r | sed -n 's/^<[0-4]>//p' | tail -n +$((log + 1)) |
		grep -vE 'erofs: (loading out-of-tree module taints|module verification failed)'
}

mkdir -p /mnt/a /mnt/b
log=$(dmesg -r | grep -c '^<[0-4]>')
check "the module in memory is the package's" [ -e /sys/module/erofs/version ]
check "mount two images with inode_share" both ro,inode_share,domain_id=d
check "read both" read_both
echo "# saved: $(saved) bytes"
check "the kernel says what is saved" [ "$(saved)" -gt 1000000 ]
fails "the module stays while images are mounted" . rmmod erofs
check "unmount" unmount
check "nothing is saved then" [ "$(saved)" = 0 ]
check "unload the module" unload

check "load it with a domain for all mounts" insmod /harness/modules/99-erofs.ko share_domain=d
check "mount two images without an option" both ro
check "read both" read_both
check "they share" [ "$(saved)" -gt 1000000 ]
check "unmount" unmount
check "unload the module" unload

check "load the kernel's own module" insmod /root/own.ko
check "it is another one" [ ! -e /sys/module/erofs/version ]
check "mount both images with it" both ro
check "their files are what was put in" content /mnt/a
check "those of the other image, too" content /mnt/b
check "unmount at last" unmount
check "unload it" rmmod erofs
complaints > /tmp/complaints
check "the kernel has nothing to say from warnings up" [ ! -s /tmp/complaints ]
comment < /tmp/complaints
done_testing
