#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The package erofs-ramdax-dkms: what it holds is made of the series and of nothing else, the
# module builds without a warning for Debian 13's newest kernel, and shares there.
# DKMS_ALL=1: for each of its kernels, more guest tests, and lintian on all packages.
# With CHECK_UNTIL, in seconds since 1970, it does not begin if it would not end before that.
set -u
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=$PWD/build}"
export BUILD
. ci/tap.sh

out=$(make -s arguments-dkms-deb 2>&1) || skip_all "${out##*\*\*\* }"
BUILD_ROOT=$(make -s print-BUILD_ROOT)
# Seconds that it takes, the root that packages are built in among them.
needed=240
[ -e "$BUILD_ROOT.key" ] || needed=540
[ $(($(date +%s) + needed)) -lt "${CHECK_UNTIL:-9999999999}" ] ||
	skip_all "no $needed seconds are left of CHECK_SECONDS; 'make check-dkms' runs it"
make -s build-root > "$T/root" 2>&1 || skip_all "no Debian root to build in: $(tail -n 1 "$T/root")"
check "the package builds" make -s dkms-deb || { done_testing; exit 1; }
DKMS_DEB=$(make -s print-DKMS_DEB)
tree=$(make -s print-KERNEL_TREE)
stock=$(make -s print-STOCK_OUT)

# Guest tests that need nothing of the kernel but EROFS.
tests="share-second ${DKMS_ALL:+share-default share-options share-errors ishare-cache}"

same_sources()
{
	mkdir "$T/deb"
	dpkg-deb --fsys-tarfile "$DKMS_DEB" | tar -x -C "$T/deb" --strip-components=4 --wildcards './usr/src/*/*'
	git -C "$tree" archive HEAD:fs/erofs | tar -d -C "$T/deb" --exclude=Kconfig -f - > "$T/diff" 2>&1
	# Owners and times are others in a package.
	grep -vE ': (Uid|Gid|Mod time|Mode) differs$|Kconfig' "$T/diff"
	[ "$(cd "$T/deb" && ls | grep -vxFf <(git -C "$tree" ls-tree --name-only HEAD:fs/erofs) | paste -sd' ')" = \
		"Kbuild VERSION compat.h dkms.conf include" ] || { ls "$T/deb"; return 1; }
	! grep -qvE ': (Uid|Gid|Mod time|Mode) differs$|Kconfig' "$T/diff"
}

no_warnings() # LOG
{
	! grep -E 'warning:|WARNING:' "$1"
}

builds() # RELEASE
{
	kernel/dkms/module "$BUILD_ROOT" "$DKMS_DEB" build "$1" "$BUILD/stock/releases/$1" &&
		no_warnings "$BUILD/stock/releases/$1/log"
}

# The package's module and the kernel's own, one after the other.
in_turn()
{
	xz -dc "$BUILD_ROOT"/usr/lib/modules/*/kernel/fs/erofs/erofs.ko.xz > "$T/own.ko" &&
	qemu/vm run --kernel "$stock/arch/x86/boot/bzImage" --file "$T/own.ko" --file qemu/stock/module.sh \
		--file qemu/guest/meminfo.sh --device "blk:$(qemu/vm image share -- base)" \
		--device "blk:$(qemu/vm image share -- next)" -- sh /root/module.sh
}

clean_packages()
{
	local out

	# The project has no mail address: erofs-ramdax@invalid is the author of all that it makes.
	out=$(ci/debian-root run "$BUILD_ROOT" "$BUILD/packages:/packages" -- sh -c 'lintian --allow-root \
		--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog /packages/*.deb' 2>&1)
	echo "$out"
	[ -z "$out" ]
}

check "the package has the files of the series, and four of its own" same_sources
# What passed with the same package and root is not built again.
key=$(cat "$DKMS_DEB" "$BUILD_ROOT.key" kernel/dkms/module kernel/dkms/dkms.mk | sha256sum)
if [ "$key" != "$(cat "$stock/key" 2> /dev/null)" ]; then
	check "the module builds for Debian's newest kernel" make -s -o packages -o dkms-deb stock-kernel &&
		echo "$key" > "$stock/key"
fi
check "without a warning, W=1" no_warnings "$stock/module/log"
check "it shares, goes, comes back, and gives way to the kernel's own" in_turn
# shellcheck disable=SC2086
qemu/vm test --tap --known "$BUILD/check/proved" --kernel "$stock/arch/x86/boot/bzImage" $tests > "$T/tap" 2> "$T/err"
status=$?
grep -v '^1\.\.' "$T/tap" | sed 's/^\(ok\|not ok\) [0-9]* - /\1 /' | while IFS= read -r line; do
	echo "# $line"
done
ok $status "guest tests pass on Debian's kernel with the module"
[ $status = 0 ] || comment < "$T/err"
if [ -n "${DKMS_ALL:-}" ]; then
	for release in $(kernel/dkms/module "$BUILD_ROOT" "$DKMS_DEB" releases); do
		check "it builds for $release without a warning" builds "$release"
	done
	check "lintian finds nothing else in the packages" clean_packages
fi
done_testing
