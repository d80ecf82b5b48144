# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: programs run from an overlay over an image by DAX, and writes stay in the upper layer
# config: EROFS_FS VIRTIO_PMEM FS_DAX OVERLAY_FS TMPFS
# image: tree tree
# device: pmem:tree
# timeout: 60
. /harness/ktap.sh

mkdir /mnt/lower /mnt/upper /mnt/root
check "mount the image" mount -t erofs -o ro,dax=always /dev/harness/pmem0 /mnt/lower
check "mount a tmpfs" mount -t tmpfs upper /mnt/upper
mkdir /mnt/upper/u /mnt/upper/w
check "mount the overlay" mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper/u,workdir=/mnt/upper/w overlay /mnt/root
says() { [ "$(chroot /mnt/root /bin/script "$1")" = "run from the image: $1" ]; }
check "run a program and a script of the image" says hello
check "write to a file of the image" sh -c 'echo changed >> /mnt/root/one && [ "$(cat /mnt/root/one)" = xchanged ]'
check "replace the program that runs" sh -c 'cp /bin/busybox /mnt/root/bin/new && mv /mnt/root/bin/new /mnt/root/bin/busybox'
check "run the new one" says again
check "the image is what it was" sh -c 'cd /mnt/lower && sha256sum -c SHA256SUMS'
check "unmount all" umount /mnt/root /mnt/upper /mnt/lower
leaks "no memory is lost"
done_testing
