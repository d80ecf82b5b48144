# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: reserved memory of the device tree is mounted; a node that is wrong says why, and the others are there
# config: EROFS_FS_RAMDAX DEV_DAX_FSDEV DEV_DAX_CARVEOUT OF X86_64
# image: tree tree
# device: reserved:tree
# device: reserved:tree
# device: reserved:tree
# device: reserved:tree
# devicetree: qemu/tests/dax/ramdax-devicetree.dts
# range: again:2M@{reserved0.address}
# range: more:2M@{reserved2.address}
# range: gic:2M@0x8000000000
. /harness/rc

# The kernel has said $1 once.  The driver core adds a line of its own to it.
once() { test "$(dmesg | grep -cE -e "$CARVEOUT_DRIVER.*$1")" = 1; }

check "the kernel has a device tree" test -d /proc/device-tree/reserved-memory/image
golden=$(dax_of golden)
check "a node is a device" test -c "/dev/$golden"
check "mount it" mount -t erofs "/dev/$golden" /mnt
check "with all of its content" content /mnt
umount /mnt
for node in unlabelled label-no-string; do
	name=$(basename "$carveout_driver"/*."$node")
	check "$node: called by the name of its device" test "$(cat "$carveout_driver/$name/name")" = "$name"
	check "$node: mount it" mount -t erofs "/dev/$(dax_of "$name")" /mnt
	umount /mnt
done
check "one of the kernel parameter is there as well" test -c "/dev/$(dax_of more)"

check "two nodes of one range" once ': same: .* overlaps what is in use already'
check "a node within the range of another" once ': part: .* overlaps what is in use already'
check "a parameter with the range of a node" once ': again: .* overlaps what is in use already'
check "a size of 0" once ': empty: size 0x0 and address 0x[0-9a-f]+ must be multiples of 2048 KiB'
check "a size that is no multiple of 2 MiB" once ': odd: size 0x1000 and address'
check "a range beyond the end of addresses" once ': beyond: reg must be one range of addresses'
check "a range in System RAM" once ': ram: .* overlaps System RAM; keep it from the kernel with .* out of the device tree.s memory nodes'
check "registers of a device" once ': uart: .* overlaps /soc/serial@8000001000 of the device tree'
check "registers, by the parameter" once ': gic: .* overlaps /soc/serial@8000001000 of the device tree'
check "a range in a memory node" once ': inside: .* overlaps /memory@9000000000 of the device tree'
check "no range" once ': nowhere: reg must be one range of addresses'
check "two ranges" once ': two: reg must be one range of addresses'
check "a node that is switched off is left alone" sh -c '! dmesg | grep switched-off'
check "none of these is a device" test "$(ls /dev/dax*.* | wc -l)" = 4
check "nothing of what was refused is left" sh -c '! grep -i -e "^ *8000[0-9a-f]*-" -e "^ *9000[0-9a-f]*-" /proc/iomem'
check "one line says why, and the driver core one that it failed" test "$(dmesg | grep -c "$CARVEOUT_DRIVER.*inside")" = 2
done_testing
