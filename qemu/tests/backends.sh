# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: one image on all four backends, by DAX where there is DAX, has the same content
# config: EROFS_FS VIRTIO_PMEM ACPI_NFIT X86_PMEM_LEGACY VIRTIO_BLK FS_DAX
# image: tree tree -Enoinline_data
# device: pmem:tree
# device: nvdimm:tree
# device: carveout:tree
# device: blk:tree
# timeout: 60
. /harness/ktap.sh

links() { (cd "$1" && find . -type l | sort | while read -r l; do echo "$l $(readlink "$l")"; done) | cmp - "$1/LINKS"; }
modes() { (cd "$1" && find . ! -type d ! -name SHA256SUMS ! -name LINKS ! -name MODES \
	-exec stat -c '%n %F %a %s' {} + | sed 's/ regular empty file / f /; s/ regular file / f /
	s/ symbolic link / l /; s/ fifo / p /' | sort) | cmp - "$1/MODES"; }

for device in pmem0 nvdimm0 carveout0 blk0; do
	case $device in
	# An NVDIMM without labels has no struct pages in this kernel, so no DAX.
	pmem0|carveout0) options=ro,dax=always ;;
	*) options=ro ;;
	esac
	mkdir "/mnt/$device"
	check "$device: mount -o $options" mount -t erofs -o $options /dev/harness/$device /mnt/$device
	check "$device: content" sh -c "cd /mnt/$device && sha256sum -c SHA256SUMS"
	check "$device: symbolic links" links /mnt/$device
	check "$device: types, permissions and sizes" modes /mnt/$device
done
# dax=always that cannot be had is refused or said, not silently dropped
umount /mnt/blk0
check "blk0: a disk is never read by DAX" sh -c \
	"! mount -t erofs -o ro,dax=always /dev/harness/blk0 /mnt/blk0 || ! grep ' /mnt/blk0 .*dax=always' /proc/mounts"
done_testing
