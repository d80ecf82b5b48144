# SPDX-License-Identifier: GPL-2.0-or-later
#
# test: ONE LINE THAT SAYS WHAT HOLDS IF THIS PASSES
# config: EROFS_FS VIRTIO_PMEM FS_DAX
# image: tree tree
# device: pmem:tree
#
# Documentation/tests.md lists these keys and what ktap.sh has.
. /harness/ktap.sh

check "mount the image" mount -t erofs -o ro,dax=always /dev/harness/pmem0 /mnt
check "its files are what was put in" sh -c 'cd /mnt && sha256sum -c SHA256SUMS'
done_testing
