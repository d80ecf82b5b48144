# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: a carve-out is memory that nobody has: no registers, no PCI windows, nothing claimed; what is refused leaves no trace
# config: PCI_MMCONFIG MTRR X86_PAT
# image: tree tree
# device: ramdax:tree,size=2M
# range: reserved:2M@192M
# range: beside:4M@194M
# range: far:2M@300M
# range: apic:2M@0xfee00000
# range: uncached:2M@0xff000000
# range: ioapic:2M@0xfec00000
# range: window:2M@0xd0000000
# range: ecam:2M@0xb0000000
# range: border:4M@198M
# range: again:2M@194M
# range: ram:2M@160M
# range: kib:1M@192M
# range: high:2M@0x40000000000000
# append: numa=fake=2 memmap=8M$192M memmap=2M$300M
. /harness/rc

platform=/sys/bus/platform
dax=$drivers/fsdev_dax

# the platform device of the range that the kernel parameter calls $1, if it is one
device_of()
{
	local d

	for d in "$carveout_driver"/*/; do
		[ "$(cat "$d/name" 2>/dev/null)" != "$1" ] || basename "$d"
	done
}
refused() # NAME MESSAGE
{
	check "$1 is refused: $2" sh -c "dmesg | grep -qE -e \"$CARVEOUT_DRIVER.*: $1: .*($2)\""
	check "$1 is no device" test -z "$(device_of "$1")"
}
known() { grep -c ': dax' /proc/iomem; }

for name in ramdax0 reserved beside; do
	check "$name is a device" test -n "$(device_of $name)"
done
refused apic 'overlaps what is in use already'
refused ioapic 'overlaps what is in use already'
refused window "lies in 'PCI Bus 0000:00'"
refused ecam "lies in 'PCI|overlaps what is in use already"
refused uncached 'cannot be cached, and is no memory'
refused border 'overlaps System RAM'
refused again 'overlaps what is in use already'
refused ram 'overlaps System RAM'
refused kib 'must be multiples of 2048 KiB'
refused high 'lies beyond the addresses of this machine'
all=6
[ -z "$(device_of far)" ] || all=8
check "only what was taken is in /proc/iomem, with its DAX device" test "$(known)" = $all
check "registers are in no other range" sh -c \
	"grep -q '^fee00000-fee00fff : Local APIC' /proc/iomem && grep -q '^fec00000-fec003ff : IOAPIC 0' /proc/iomem"

first=$(device_of reserved)
echo "$first" > "$carveout_driver/unbind"
check "a carve-out that goes leaves nothing" test "$(known)" = $((all - 2))
check "and comes back" sh -c "echo $first > $carveout_driver/bind && grep -q ': $first' /proc/iomem"

# Without fsdev_dax the range stays taken.
name=$(cd $platform/devices/"$(device_of beside)" && echo dax*.0)
check "unbind from fsdev_dax" sh -c "echo $name > $dax/unbind; ! test -e $dax/$name"
for d in $platform/devices/"$CARVEOUT_DRIVER".*; do
	[ -e "$d/driver" ] || echo "${d##*/}" > "$carveout_driver/bind"
done 2> /dev/null
check "the range within it is refused all the same" test -z "$(device_of again)"
check "bind again" sh -c "echo $name > $dax/bind; test -e $dax/$name"

# RAM of the debug kernel's guest only.
if [ -e /sys/devices/system/node/node1 ]; then
	check "the struct pages of a range are on its node" \
		test "$(cat $platform/devices/"$(device_of far)"/dax*.0/numa_node)" = 1
else
	skip "the struct pages of a range are on its node" "one node only"
fi
done_testing
