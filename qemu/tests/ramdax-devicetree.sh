# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: reserved memory of the device tree is mounted; a node that is wrong says why, and the others are there
# config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_RAMDAX OF
# image: tree tree
# device: carveout:tree,as=none
# device: carveout:tree,as=none
# device: carveout:tree,as=none
# device: carveout:tree,as=none
# devicetree: qemu/tests/ramdax-devicetree.dts
# append: ramdax=again:2M@{carveout0.address},more:2M@{carveout2.address}
. /harness/ktap.sh

drivers=/sys/bus/platform/drivers

# the device of the range that is called $1
dax_of()
{
	local d

	for d in $drivers/ramdax/*/; do
		[ "$(cat "$d/name" 2>/dev/null)" != "$1" ] || (cd "$d" && echo dax*.*)
	done
}
# The kernel has said $1 once.  The driver core adds a line of its own to it.
once() { test "$(dmesg | grep -cE -e "ramdax.*$1")" = 1; }

check "the kernel has a device tree" test -d /proc/device-tree/reserved-memory/image
golden=$(dax_of golden)
check "a node is a device" test -c "/dev/$golden"
check "mount it" mount -t erofs "/dev/$golden" /mnt
check "with all of its content" sh -c 'cd /mnt && sha256sum -c SHA256SUMS'
umount /mnt
for node in unlabelled label-no-string; do
	name=$(basename $drivers/ramdax/*."$node")
	check "$node: called by the name of its device" test "$(cat "$drivers/ramdax/$name/name")" = "$name"
	check "$node: mount it" mount -t erofs "/dev/$(dax_of "$name")" /mnt
	umount /mnt
done
check "one of the kernel parameter is there as well" test -c "/dev/$(dax_of more)"

check "two nodes of one range" once ': same: .* overlaps golden, which is there already'
check "a node within the range of another" once ': part: .* overlaps [0-9a-f]+.unlabelled, which is there already'
check "a parameter with the range of a node" once ': again: .* overlaps golden, which is there already'
check "a size of 0" once ': empty: size 0x0 and address 0x[0-9a-f]+ must be multiples of 2 MiB'
check "a size that is no multiple of 2 MiB" once ': odd: size 0x1000 and address'
check "a range beyond the end of addresses" once ': beyond: reg must be one range of addresses'
check "a range in System RAM" once ': ram: .* overlaps System RAM; keep it from the kernel with .* out of the device tree.s memory nodes'
check "no range" once ': nowhere: reg must be one range of addresses'
check "two ranges" once ': two: reg must be one range of addresses'
check "a node that is switched off is left alone" sh -c '! dmesg | grep switched-off'
check "none of these is a device" test "$(ls /dev/dax*.* | wc -l)" = 4
done_testing
