# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: DAX devices that come and go while they are mounted and unbound leave no user of freed memory
# config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_CARVEOUT
# image: tree tree -Enoinline_data
# device: carveout:tree,as=none
# append: dax_carveout=golden:{carveout0.size}@{carveout0.address}
# cpus: 2
# timeout: 90
. /harness/ktap.sh

seconds=8
end=$(($(date +%s) + seconds))
running() { [ "$(date +%s)" -lt $end ]; }
count() { wc -l < "/tmp/$1"; }

mounts() # FOLDER
{
	mkdir -p "$1"
	while running; do
		mount -t erofs /dev/dax0.0 "$1" || continue
		echo >> /tmp/mounted
		cat "$1/data.65536" > /dev/null
		umount "$1"
	done
}
switches()
{
	while running; do
		echo dax0.0 > /sys/bus/dax/drivers/fsdev_dax/unbind && echo >> /tmp/switched
		echo dax0.0 > /sys/bus/dax/drivers/fsdev_dax/bind
	done
}
removals()
{
	while running; do
		usleep 30000
		echo dax_carveout.0 > /sys/bus/platform/drivers/dax_carveout/unbind && echo >> /tmp/removed
		echo dax_carveout.0 > /sys/bus/platform/drivers/dax_carveout/bind
	done
}

touch /tmp/mounted /tmp/switched /tmp/removed
{
	mounts /tmp/a &
	mounts /tmp/b &
	switches &
	removals &
	wait
} 2> /dev/null

umount /tmp/a 2> /dev/null
umount /tmp/b 2> /dev/null
[ -e /sys/bus/platform/drivers/dax_carveout/dax_carveout.0 ] ||
	echo dax_carveout.0 > /sys/bus/platform/drivers/dax_carveout/bind
[ -e /sys/bus/dax/drivers/fsdev_dax/dax0.0 ] ||
	echo dax0.0 > /sys/bus/dax/drivers/fsdev_dax/bind
echo "$(count mounted) mounts, $(count switched) switches, $(count removed) removals" | comment
check "it was mounted" test "$(count mounted)" -gt 0
check "switched" test "$(count switched)" -gt 0
check "and removed" test "$(count removed)" -gt 0
check "mount it again" mount -t erofs /dev/dax0.0 /mnt
check "with all of its content" sh -c 'cd /mnt && sha256sum -c SHA256SUMS'
umount /mnt
check "no page of it was kept" sh -c '! dmesg | grep "pages are still in use: the memory"'
done_testing
