#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Wrong arguments of make are refused at once, in one line, before anything is
# installed, unpacked or built; and "make shell" builds only what it needs.
set -u
cd "$(dirname "$0")/../.." || exit 1
. ci/tap.sh

unset IMAGE ROOTFS BASE UTILS_BASE FLAVOUR ARCH PAGES LINUX_SRC EROFS_UTILS_SRC
export BUILD=$T/build
# Every target asks which packages are there before it does anything else.
mkdir "$T/bin"
printf '#!/bin/sh\necho "$0" >> "%s/asked"\nexit 1\n' "$T" > "$T/bin/dpkg-query"
chmod +x "$T/bin/dpkg-query"
PATH=$T/bin:$PATH

# Milliseconds of processor time, which other programs on the machine change little.
cpu_ms() # CMD...
{
	local TIMEFORMAT='%U %S'

	{ time "$@" > "$T/out" 2>&1; } 2>&1 | awk '{ printf "%d\n", ($1 + $2) * 1000 }'
}

# How long the start of Python alone takes here: some are behind a script.
start=$(cpu_ms python3 -c pass)

refused() # REGEX ARGUMENT...
{
	local regex=$1 took try

	shift
	for try in 1 2 3; do
		rm -rf "$BUILD" "$T/asked"
		took=$(cpu_ms make "$@")
		[ "$took" -gt $((start + 1000)) ] || break
	done
	# What make itself adds is the name of the target.
	grep -v '^make: \*\*\* \[' "$T/out" > "$T/said"
	[ "$(wc -l < "$T/said")" = 1 ] && grep -qE -- "$regex" "$T/said" && [ "$took" -le $((start + 1000)) ] &&
		[ ! -e "$BUILD" ] && [ ! -e "$T/asked" ] && return 0
	echo "processor time: $took ms in try $try (start of Python: $start ms; limit: 1000 ms more)"
	echo "made: $(ls "$BUILD" 2>&1); packages were asked for: $(cat "$T/asked" 2>&1)"
	echo "wanted one line that matches: $regex"
	cat "$T/out"
	return 1
}

r() { check "make ${*:2}" refused "$@"; }

mkdir -p "$T/hollow" "$T/tree"
echo text > "$T/tree/file"
tar -C "$T/tree" -czf "$T/tree.tar.gz" .
head -c 2097152 /dev/zero > "$T/zero"
# A superblock with blocks of 1 KiB.
{ head -c 1024 /dev/zero; printf '\342\341\365\340%08d\012' 0; head -c 3000 /dev/zero; } > "$T/small"

r "GUEST=4: no target takes this variable" demo GUEST=4
check "values can have spaces, and be expressions" make -s help DEVICES="pmem ramdax" ONLY="a b=c|^[d]" GUESTS=2
r "ACCEL=foo is not one of: kvm tcg" demo ACCEL=foo
r "ONLY=no-such matches no fix" prove-fixes ONLY=no-such
r "FUZZ_SECONDS=abc: write a number above 0" fuzz-utils FUZZ_SECONDS=abc
for n in 0 257 x ""; do r "GUESTS=$n: write a number from 1 to 256" demo GUESTS="$n"; done
r "'blk' is no kind of memory; choose from .*pmem" demo DEVICES=blk
r 'name at least one kind of memory' demo DEVICES=" "
r 'CONTAINERS=maybe is not one of: yes no' demo CONTAINERS=maybe
for goal in demo rootfs bench; do
	r "IMAGE=$T/none is no file" $goal IMAGE="$T/none"
	r 'is no EROFS image .*mkfs.erofs' $goal IMAGE="$T/zero"
done
r 'blocks of 1024 bytes.*-b4096' demo IMAGE="$T/small"
r "ROOTFS=$T/none does not exist" demo ROOTFS="$T/none"
r "ROOTFS=$T/hollow holds no regular file" demo ROOTFS="$T/hollow"
r 'no directory and no tar file' demo ROOTFS="$T/zero"
r 'no tar file .*not be compressed' demo ROOTFS="$T/tree.tar.gz"
r 'ROOTFS= or IMAGE=, not both' demo ROOTFS="$T/tree" IMAGE="$T/small"
r 'ROOTFS= or IMAGE=, not both' -j4 demo ROOTFS="$T/tree" IMAGE="$T/small"
r "$T/none: No such file" shell IMAGE="$T/none"
r 'multiple of 2 MiB.*truncate' shell IMAGE="$T/small"
r "no row 'ext5'; there are: erofs-dax" bench ROWS=ext5
r 'REPEAT=0: write a number' bench REPEAT=0
r "no row 'x'; there are" profile ROW=x
r "no pass 'x'; there are" profile PASS=x
r "no guest test 'none'" test T=none
r 'STRESS=long: write a number' stress STRESS=long
r 'MUTATIONS=7: write FIRST-LAST' mutations MUTATIONS=7
r 'MUTATIONS_FLAVOUR=slow is not one of' mutations MUTATIONS_FLAVOUR=slow
r 'FLAVOUR=slow is not one of: fast' kernel FLAVOUR=slow
r 'ARCH=mips is not one of: arm64 ' kernel ARCH=mips
r 'PAGES=8k is not one of: 16k 4k 64k' kernel ARCH=arm64 PAGES=8k
r 'PAGES=16k is not one of: 4k' kernel PAGES=16k
r "ARCH=arm64: 'make demo' is for x86_64 alone; there are .*test" demo ARCH=arm64
r 'MACHINES=arm64-8k: .*one of: .*arm64-64k' golden-machines MACHINES=arm64-8k
r 'BASE=linux-2.4 is not one of: .*linux-' demo BASE=linux-2.4
r 'UTILS_BASE=1.0 is not one of: ' utils UTILS_BASE=1.0
r "LINUX_SRC=$T/none does not exist" tree LINUX_SRC="$T/none"

# What a target would do, on a machine that has nothing yet.
would()
{
	make -n "$@" > "$T/out" 2>&1 || { cat "$T/out"; return 1; }
}
shell_needs() # REGEX-OF-WHAT-IT-NEEDS REGEX-OF-WHAT-NOT ARGUMENT...
{
	would shell "${@:3}" || return 1
	grep -q "$1" "$T/out" && ! grep -E "$2" "$T/out" && return 0
	echo "'make shell ${*:3}' should do '$1', but not '$2'; it would do:"
	cat "$T/out"
	return 1
}
truncate -s 2M "$T/small"
check "make shell with an image builds no tools and no tests" \
	shell_needs 'kernel/build fast' 'erofs-utils/build|qemu/tests/|kernel/build debug' IMAGE="$T/small"
check "make shell without an image builds the tools to make one" \
	shell_needs 'erofs-utils/build' 'qemu/tests/|kernel/build debug|mmdebstrap|qemu/images/rootfs'
done_testing
