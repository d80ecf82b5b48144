# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a DAX device, or a block device with DAX, that is removed under a mount gives I/O errors, and comes back
# config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_RAMDAX
# image: tree tree -Enoinline_data
# device: carveout:tree,as=none
# device: pmem:tree
# append: ramdax=golden:{carveout0.size}@{carveout0.address}
. /harness/ktap.sh

provider=/sys/bus/platform/drivers/ramdax
node() { ls /dev/dax*.0 2>/dev/null; }

# Take the device of /mnt away while a file is open, and while text pages of a
# program that runs are mapped.
remove() # COMMAND
{
	/mnt/bin/busybox sleep 1000 &
	pid=$!
	exec 3< /mnt/data.65536
	check "remove the device" sh -c "$1"
	fails "an open file gives EIO" 'nput/output error' head -c 16 <&3
	fails "a lookup gives EIO" 'nput/output error' cat /mnt/one
	exec 3<&-
	kill $pid 2>/dev/null
	wait $pid 2>/dev/null
}

# --- a block device
namespace=$(basename "$(realpath /sys/block/pmem0/device)")
check "mount a block device" mount -t erofs -o dax=always /dev/harness/pmem0 /mnt
remove "echo $namespace > /sys/bus/nd/drivers/nd_pmem/unbind"
check "unmount what is left" umount /mnt
check "it comes back" sh -c "echo $namespace > /sys/bus/nd/drivers/nd_pmem/bind; test -b /dev/pmem0"
check "and can be mounted" mount -t erofs -o dax=always /dev/pmem0 /mnt
check "with all of its content" sh -c 'cd /mnt && sha256sum -c SHA256SUMS'
umount /mnt

# --- a DAX device
check "mount" mount -t erofs "$(node)" /mnt
check "a program runs from it" /mnt/bin/busybox true
remove "echo ramdax.0 > $provider/unbind"
mkdir /tmp/new
check "the device comes back under its name" sh -c "echo ramdax.0 > $provider/bind; test -c $(node)"
check "it can be mounted beside the dead one" mount -t erofs "$(node)" /tmp/new
check "with all of its content" sh -c 'cd /tmp/new && sha256sum -c SHA256SUMS'
check "unmount the dead one" umount /mnt
check "unmount the new one" umount /tmp/new
done_testing
