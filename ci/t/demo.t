#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The demo on a small tree: what it reports, and that it notices when something
# is wrong with the image, the list, the guest or the request.
set -u
cd "$(dirname "$0")/../.." || exit 1
. ci/tap.sh

var() { make -s "print-$1"; }
BUILD=$(var BUILD) KERNEL=$(var KERNEL) HOSTPAGES=$(var HOSTPAGES) MKFS=$(var MKFS) FSCK=$(var FSCK)
export BUILD MKFS FSCK
unset ROOTFS IMAGE

# A tree that demo.sh can chroot into: a shell and nothing else.
mkdir -p "$T"/tree/{bin,data,usr/share/doc}
seq 30000 > "$T/tree/usr/share/doc/text"
cp /bin/busybox "$T/tree/bin/busybox"
for applet in sh cat echo; do ln -s busybox "$T/tree/bin/$applet"; done
for i in $(seq 40); do seq $((i * 1000)) $((i * 1000 + 20000)) > "$T/tree/data/$i"; done
touch "$T/tree/empty"
chmod 755 "$T" # mmdebstrap-made trees are readable too

rootfs() { ROOTFS=$1 IMAGE='' qemu/images/rootfs "$T/out" -Enoinline_data; }
image() { ROOTFS='' IMAGE=$1 qemu/images/rootfs "$T/out" -Enoinline_data; }
demo() # OPTION...
{
	qemu/demo --image "$T/out/golden.erofs" --list "$T/out/golden.list" --kernel "$KERNEL" \
		--hostpages "$HOSTPAGES" --report "$T/report.json" "$@"
}
says() { jq -e "$1" "$T/report.json"; }

check "an image is made of a directory" rootfs "$T/tree"
check "its list has every regular file" test "$(tr -dc '\0' < "$T/out/golden.list" | wc -c)" = 43
sum=$(sha256sum < "$T/out/golden.erofs")
check "nothing is made anew when nothing changed" sh -c "ROOTFS='$T/tree' qemu/images/rootfs '$T/out' -Enoinline_data 2>&1 | (! grep .)"

check "four guests and two containers prove that they share" demo --guests 4 --containers "$T/containers"
for q in '.result == "shared"' '.guests | length == 4' \
	'[.guests[] | .files_verified == 43 and .tree_ok] | all' \
	'[.guests[] | .cached_kib, .buffers_kib, .slab_kib | numbers] | length == 12' \
	'[.guests[] | .cached_kib + .buffers_kib] == [0, 0, 0, 0]' \
	'[.guests[] | .write_attempts == 9 and .writes_that_reached_the_image == 0] | all' \
	'[.guests[] | .device + " " + .node | sub("[0-9.]+$"; "")] == ["pmem /dev/pmem", "ramdax /dev/dax", "nvdimm /dev/dax", "carveout /dev/pmem"]' \
	'[.guests[] | .writes[].way | select(test("block device|DAX device"))] | length == 4' \
	'.guests[0].programs | .shell == "ok" and .perl == "absent"' \
	'[.guests[].stays] == ["shell", "shell", "shell", "shell"] and (.image | endswith("/golden.erofs"))' \
	'.unique_bytes <= .image_bytes and .unique_bytes > 5000000' \
	'[.guests[] | (.image_pss_bytes * 4 / .image_rss_bytes - 1) | fabs < 0.15] | all' \
	'.image_bytes as $b | [.guests[].image_mapped_bytes] | all(. > 100000 and . < $b / 2)' \
	'[.mapped_by[].bytes] | length == 4 and .[3] > 100000' \
	'[.guests[].image_mapped_bytes] == [range(4) as $i | [.parts[] | select(.mapped_by | index($i)).length] | add]' \
	'[.guests[].image_rss_bytes] == [range(4) as $i | [.parts[] | select(.touched_by | index($i)).length] | add]' \
	'[.guests[] | .memory_bytes as $m | .own_guest_bytes > 20000000 and .own_guest_bytes <= $m] | all' \
	'[.guests[] | .own_qemu_bytes > 1000000 and .own_qemu_bytes < 400000000] | all' \
	'([.guests[] | .own_guest_bytes + .own_qemu_bytes] | add) == .own_bytes and .host_bytes == .own_bytes + .unique_bytes' \
	'.private_copies_bytes - .unique_bytes == .saved_bytes and .saved_bytes > .unique_bytes' \
	'.containers | .contents_ok and .cached_kib_private - .cached_kib_shared == .saved_kib' \
	'.containers | (.saved_kib / .kernel_saved_kib - 1 | fabs) < 0.02 and .slab_kib_shared - .slab_kib_private == .slab_cost_kib' \
	'(.image_bytes / 1024) as $k | .containers | .saved_kib > $k * 0.8 and .cached_kib_shared < $k * 1.2'; do
	check "report: $q" says "$q"
done
check "its picture is beside it" grep -q 'Mapped parts of the image' "$T/report.html"
cp "$T/report.html" "$T/first.html"
check "it can be drawn again" python3 -B qemu/pictures "$T/report.json"
check "... and is the same" cmp "$T/report.html" "$T/first.html"
check "the image is what it was" test "$sum" = "$(sha256sum < "$T/out/golden.erofs")"

check "of ten guests two verify files, and all share" demo --guests 10
for q in '.result == "shared" and (.guests | length == 10)' \
	'[.guests[].verifies] == [range(10) | . < 2]' \
	'[.guests[:2][] | .files_verified == 43 and .tree_ok and .write_attempts == 9] | all' \
	'[.guests[2:][] | .stays == "shell" and .programs == {} and .write_attempts == 0 and .image_mapped_bytes > 100000] | all' \
	'[.guests[2:][] | .memory_bytes == 100663296 and .own_guest_bytes < .memory_bytes] | all' \
	'[.mapped_by[].bytes] | length == 10 and .[9] > 100000' \
	'.unique_bytes <= .image_bytes'; do
	check "ten guests: $q" says "$q"
done

mkdir -p "$T"/kernel/arch/x86/boot
cp "$KERNEL" "$T/kernel/arch/x86/boot/bzImage"
printf 'CONFIG_%s=y\n' EROFS_FS VIRTIO_PMEM FS_DAX > "$T/kernel/.config"
bare=$T/kernel/arch/x86/boot/bzImage
fails "one guest proves nothing" 'one guest shares with nobody' \
	demo --guests 1 --devices pmem --kernel "$bare" --containers "$T/containers"
check "a kernel without page-cache sharing is said to be one" says \
	'.containers.skipped == "the kernel has no CONFIG_EROFS_FS_PAGE_CACHE_SHARE"'
for n in 0 257 x ""; do
	fails "GUESTS=$n" "GUESTS=$n: write a number from 1 to 256" make -s demo GUESTS="$n"
done
check "two guests share memory that firmware calls specific-purpose" demo --guests 2 --devices hmem
check "... as DAX devices" says '.result == "shared" and ([.guests[] | .device + " " + .node | sub("[0-9.]+$"; "")] == ["hmem /dev/dax", "hmem /dev/dax"])'
fails "a kind that is no memory" "DEVICES: 'blk' is no kind of memory; choose from pmem, ramdax, nvdimm, carveout, hmem" make -s demo DEVICES=blk
fails "no kind" 'DEVICES: name at least one kind' make -s demo DEVICES=" "
fails "a kernel that has no ramdax" "ramdax needs a kernel with CONFIG_DEV_DAX_[A-Z]*.*DEVICES='pmem'" \
	demo --kernel "$bare"
fails "an NVDIMM for a kernel that has no ramdax" "nvdimm needs a kernel with CONFIG_ACPI_NFIT" \
	demo --kernel "$bare" --devices nvdimm
fails "no kernel" 'No such file.*make kernel' demo --kernel "$T/none"
fails "something else for a kernel" 'is no kernel of x86_64' demo --kernel /bin/busybox

# One of the guests dies in the middle.
killed()
{
	local qemu

	demo --guests 2 &
	until qemu=$(pgrep -f "^[^ ]*qemu-system[^ ]* .*$T/out/golden.erofs"); do
		kill -0 $! || return 99
		sleep 0.1
	done
	sleep 1
	kill -9 "${qemu%%[!0-9]*}"
	wait $!
}
fails "a QEMU that is killed is the one error" '^guest [01]: QEMU ended with signal 9' killed
cp "$T/check.out" "$T/killed"
check "it is said once, and the other guest is gone" sh -c \
	"[ \$(grep -c '^guest' '$T/killed') = 1 ] && ! pgrep -f '^[^ ]*qemu-system[^ ]* .*$T/out/golden.erofs'"

# One byte of a file, on the host's side, after the list was made.
cp "$T/out/golden.erofs" "$T/good"
at=$(grep -abom1 '40000' "$T/out/golden.erofs" | cut -d: -f1)
printf 5 | dd of="$T/out/golden.erofs" bs=1 seek="$at" conv=notrunc status=none
fails "a byte of the image is another one" 'data/[0-9]+: read\(2\) gives other bytes' demo --guests 2
check "the report says how many files are right" says \
	'.result == "failed" and ([.guests[] | .files_verified < 43 and .files_verified > 35] | all)'
cp "$T/good" "$T/out/golden.erofs"
# The superblock's magic number.
printf x | dd of="$T/out/golden.erofs" bs=1 seek=1024 conv=notrunc status=none
fails "an image that is none" 'the image cannot be mounted from (pmem|ramdax)0' demo --guests 2
truncate -s 3000000 "$T/out/golden.erofs"
fails "an image that is not padded" 'truncate -s %2M' demo --guests 2
mv "$T/good" "$T/out/golden.erofs"

# The user's own image, and wrong ones.
cp "$T/out/golden.erofs" "$T/own.erofs"
check "IMAGE= is taken and listed" image "$T/own.erofs"
check "its list has every regular file" test "$(tr -dc '\0' < "$T/out/golden.list" | wc -c)" = 43
check "IMAGE= is not changed" cmp "$T/own.erofs" "$T/out/golden.erofs"
fails "IMAGE= is no file" 'is no file' image "$T/none"
fails "IMAGE= is no EROFS image" 'is no EROFS image.*mkfs.erofs' image /bin/busybox
fails "ROOTFS= does not exist" 'does not exist' rootfs "$T/none"
mkdir "$T/hollow"
fails "ROOTFS= holds no file" 'holds no regular file' rootfs "$T/hollow"
fails "ROOTFS= and IMAGE=" 'not both' env ROOTFS="$T/tree" IMAGE="$T/own.erofs" qemu/images/rootfs "$T/out"
tar -C "$T/tree" -cf "$T/tree.tar" .
check "ROOTFS= is a tar file" rootfs "$T/tree.tar"
check "its list has every regular file" test "$(tr -dc '\0' < "$T/out/golden.list" | wc -c)" = 43
check "nothing of failed runs is left" sh -c "! ls '$T'/out/tmp.* 2>/dev/null"
done_testing
