#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh - what each guest of "make demo" does; qemu/demo starts it
#
# usage: demo.sh DEVICE ADDRESS SIZE
#
#   DEVICE   name of the memory device below /dev/harness: a block device, or a
#            DAX device that the image can be mounted from
#   ADDRESS  guest-physical address of the image's first byte (hexadecimal)
#   SIZE     of the image, in bytes
#
# Mounts the image so that it is read by DAX, compares every file with
# /root/golden.list, starts a program from the image that stays, and waits at the
# barrier "mapped" while the host looks at its own page accounting; then runs
# programs from the image, and tries to write to it.  The first result is a JSON
# array of what guestpages says, the second one JSON object.  Memory figures are what the work on the image added to /proc/meminfo
# (the guest's own files lie in its initramfs, which counts as page cache too).
#
# Exit status: 0, or 1 with one line that says which step failed.

node=$(readlink -f "/dev/harness/$1")
address=$2
size=$3
image=/mnt/image
root=/mnt/root

fail() { echo "$*" >&2; exit 1; }
. /root/meminfo.sh

# An NVDIMM without labels gets no pages from nd_pmem, hence no DAX.  What is known
# to ramdax too can be taken from one driver and given to the other.
hand_over() # DAX-DEVICE
{
	local driver=/sys/bus/dax/drivers/fsdev_dax tries=0 n

	while [ ! -e "$driver/$1" ]; do
		for n in /sys/bus/nd/drivers/nd_pmem/namespace*; do
			[ ! -e "$n" ] || echo "${n##*/}" > /sys/bus/nd/drivers/nd_pmem/unbind
		done
		echo "$1" > $driver/bind && break
		# the other driver may be about to take it
		tries=$((tries + 1))
		[ $tries -lt 50 ] || return 1
		usleep 100000
	done 2> /dev/null
}

case $1 in
nvdimm*) hand_over "${node##*/}" || fail "the NVDIMM cannot be handed over from nd_pmem to fsdev_dax" ;;
esac
mkdir -p $image $root /mnt/rw
memory_before
if [ -b "$node" ]; then
	mount -t erofs -o ro,dax=always "$node" $image || fail "the image cannot be mounted with dax=always"
	# EROFS of Linux 6.12 goes on without DAX where the device has none.
	grep -q " $image erofs .*dax=always" /proc/mounts ||
		fail "the kernel turned DAX off, the page cache would be measured: $(dmesg | sed -n 's/^.*erofs: //p' | grep -w DAX | tail -n 1)"
else
	mount -t erofs "$node" $image || fail "the image cannot be mounted from the DAX device"
fi

verified=$(verify $image /root/golden.list)
tree_ok=$?
memory_after
[ $tree_ok = 0 ] && tree_ok=true || tree_ok=false

# Programs from the image, in a root whose changes go to memory.
mount -t tmpfs tmpfs /mnt/rw && mkdir /mnt/rw/upper /mnt/rw/work &&
	mount -t overlay -o lowerdir=$image,upperdir=/mnt/rw/upper,workdir=/mnt/rw/work overlay $root ||
	fail "no overlay can be mounted over the image"
for d in proc dev sys tmp; do
	mkdir -p $root/$d
done
mount -t proc proc $root/proc && mount --bind /dev $root/dev || fail "cannot prepare the chroot"

# One program stays while the host looks, another one in each of three guests.
case $((GUEST_ID % 3)) in
1) stays='perl -MPOSIX -e "\$| = 1; print qq(up\\n); <STDIN>"' ;;
2) stays='bash -c "echo up; read -r line"' ;;
*) stays='echo up; read -r line' ;;
esac
mkfifo /tmp/stay && exec 3<> /tmp/stay
if [ -e $root/bin/sh ]; then
	chroot $root /bin/sh -c "$stays || { echo up; read -r line; }" < /tmp/stay > /tmp/up 2> /dev/null &
	while [ ! -s /tmp/up ] && [ -e /proc/$! ]; do
		usleep 10000
	done
fi
counters=/sys/fs/erofs/$(basename "$(realpath "$node")")/dax
[ -d "$counters" ] || counters=
# shellcheck disable=SC2086
guestpages "$address" "$size" $counters > /tmp/pages ||
	fail "no account of what this kernel has mapped"
sed 's/.*/"&",/; 1s/^/[/; $s/,$/]/' /tmp/pages | guestctl result - && guestctl ready mapped || exit 1
echo > /tmp/stay

programs=
# program NAME PATH COMMAND: run COMMAND in the chroot if PATH is there.
program()
{
	local result

	if [ ! -e "$root$2" ]; then
		result=absent
	elif chroot $root /bin/sh -c "$3" > /tmp/program.out 2>&1; then
		result=ok
	else
		result=failed
		echo "$1 from the image failed:" >&2
		tail -n 5 /tmp/program.out >&2
	fi
	programs="$programs${programs:+, }\"$1\": \"$result\""
}
program shell /bin/sh 'test "$(echo a b c | while read -r x y z; do echo $z$y$x; done)" = cba'
program perl /usr/bin/perl "perl -MPOSIX -e 'my %h = map { \$_ => \$_ ** 2 } 1 .. 1000; exit(\$h{31} == 961 ? 0 : 1)'"
# A package is made, installed, asked for and removed: dpkg with all its helpers.
program dpkg /usr/bin/dpkg '
	set -e
	mkdir -p /tmp/p/DEBIAN /tmp/p/usr/share/demo
	echo hello > /tmp/p/usr/share/demo/file
	printf "Package: ramdax-demo\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@invalid>\nDescription: demo\n" > /tmp/p/DEBIAN/control
	dpkg-deb --root-owner-group --build /tmp/p /tmp/demo.deb
	dpkg -i /tmp/demo.deb
	dpkg-query -W ramdax-demo
	test "$(cat /usr/share/demo/file)" = hello
	dpkg -r ramdax-demo
	test ! -e /usr/share/demo/file'

writes=$(scribble $image "$node" "$address") || exit 1
# Whatever those did, readers of the image see what they saw before.
verify $image /root/golden.list > /tmp/again || tree_ok=false

# The numbers of the first verification: busybox has no tool for JSON.
files=${verified#*: }
guestctl result "{
	\"node\": \"$node\",
	\"files_verified\": ${files%%,*},
	\"tree_ok\": $tree_ok,
	\"cached_kib\": $cached,
	\"buffers_kib\": $buffers,
	\"slab_kib\": $slab,
	\"programs\": {$programs},
	\"writes\": $writes
}"
