#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# demo.sh - what each guest of "make demo" does; qemu/demo starts it
#
# usage: demo.sh DEVICE [stay]
#
#   DEVICE   name of the memory device with the image, as in /harness/devices
#   stay     mount the image and run the program that stays, no more
#
# Mounts the image so that it is read by DAX, compares every file with
# /root/golden.list, starts a program from the image that stays, and waits at the
# barrier "mapped" while the host looks at its own page accounting; then runs
# programs from the image, and tries to write to it.  The first result is a JSON
# array of what guestpages says, the second one JSON object.  Memory figures are what the
# work on the image added to /proc/meminfo (the guest's own files lie in its initramfs, which counts as page cache too).
#
# Exit status: 0, or 1 with one line that says which step failed.

# Guest-physical address of the image's first byte, and its size in bytes.
address=$(sed -n "s/^$1 [a-z]* 0x\([0-9a-f]*\) .*/\1/p" /harness/devices)
size=$(sed -n "s/^$1 [a-z]* [0-9a-fx]* \([0-9]*\).*/\1/p" /harness/devices)
image=/mnt/image
root=/mnt/root

fail() { echo "$*" >&2; exit 1; }
. /root/meminfo.sh

mkdir -p $image $root /mnt/rw
memory_before
sh "/harness/mount/$1" $image || fail "the image cannot be mounted from $1"
node=$(readlink -f "$(sed -n "s,^\([^ ]*\) $image erofs .*,\1,p" /proc/mounts)")
# EROFS of Linux 6.12 goes on without DAX where a block device has none.
[ ! -b "$node" ] || grep -q " $image erofs .*dax=always" /proc/mounts ||
	fail "the kernel turned DAX off, the page cache would be measured: $(dmesg | sed -n 's/^.*erofs: //p' | grep -w DAX | tail -n 1)"

if [ "$2" != stay ]; then
	verified=$(verify $image /root/golden.list)
	tree_ok=$?
	memory_after
	[ $tree_ok = 0 ] && tree_ok=true || tree_ok=false
fi

# Programs from the image, in a root whose changes go to memory.
mount -t tmpfs tmpfs /mnt/rw && mkdir /mnt/rw/upper /mnt/rw/work &&
	mount -t overlay -o lowerdir=$image,upperdir=/mnt/rw/upper,workdir=/mnt/rw/work overlay $root ||
	fail "no overlay can be mounted over the image"
for d in proc dev sys tmp; do
	mkdir -p $root/$d
done
mount -t proc proc $root/proc && mount --bind /dev $root/dev || fail "cannot prepare the chroot"

# One program stays while the host looks, another one in each of three guests; it says
# which it is.  Where the image has no perl or bash, its shell stays.
case $((GUEST_ID % 3)) in
1) stays='perl -MPOSIX -e "\$| = 1; print qq(perl\\n); <STDIN>"' ;;
2) stays='bash -c "echo bash; read -r line"' ;;
*) stays=false ;;
esac
mkfifo /tmp/stay && exec 3<> /tmp/stay
if [ -e $root/bin/sh ]; then
	chroot $root /bin/sh -c "$stays || { echo shell; read -r line; }" < /tmp/stay > /tmp/up 2> /dev/null &
	while [ ! -s /tmp/up ] && [ -e /proc/$! ]; do
		usleep 10000
	done
	read -r stays < /tmp/up
	case $stays in perl | bash | shell) ;; *) stays=failed ;; esac
else
	stays=absent
fi
counters=/sys/fs/erofs/${node##*/}/dax
[ -d "$counters" ] || counters=
# shellcheck disable=SC2086
guestpages "$address" "$size" $counters > /tmp/pages ||
	fail "no account of what this kernel has mapped"
sed 's/.*/"&",/; 1s/^/[/; $s/,$/]/' /tmp/pages | guestctl result - && guestctl ready mapped || exit 1
echo > /tmp/stay
if [ "$2" = stay ]; then
	guestctl result "{\"node\": \"$node\", \"stays\": \"$stays\", \"programs\": {}, \"writes\": []}"
	exit
fi

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
	\"stays\": \"$stays\",
	\"files_verified\": ${files%%,*},
	\"tree_ok\": $tree_ok,
	\"cached_kib\": $cached,
	\"buffers_kib\": $buffers,
	\"slab_kib\": $slab,
	\"programs\": {$programs},
	\"writes\": $writes
}"
