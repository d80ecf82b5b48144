#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mount.erofs -t erofs.fanotify: what is read of a blob, when something fails, and where it stays
. "$(dirname "$0")/lib.sh"

MOUNT=$UTILS_BUILD/tools/mount/mount.erofs
if ! grep -q "fanotify" <("$MOUNT" --help); then
	echo "1..0 # SKIP built without fanotify"
	exit 0
fi
LOOP=$BUILD/check/utils/fanotify-loop
compile_with_liberofs "$LOOP" "$here/erofs-utils/tests/fanotify-loop.c"
head -c 50000 /dev/urandom > "$T/blob"

# served ANSWERS ARGUMENT...: the program answers so, and what it allowed is what the blob has
served()
{
	rm -f "$T/sparse"
	[ "$("$LOOP" "$T/sparse" "$T/blob" "${@:2}" 2> "$T/errors" | tr '\n' ' ')" = "$1" ] && return
	cat "$T/errors"
	return 1
}
check "ranges of a blob" served "right right right right left " none 0+4096 20480+8192 4096+4096 45056+4096
check "its end, what is behind, and all" served "right right right left " none 49152+848 49152+9000 0+0
check "less than a block, and then what is beside" served "right right right right left " none 0+512 512+512 49999+1 49152+512
check "a range that can't be read is refused, and the next is not" served "denied right right left " fail=1 0+4096 0+4096 8192+4096
check "and again" served "right denied denied right left " fail=2-3 0+4096 4096+4096 4096+4096 4096+4096
check "what is shorter than it should be is refused" served "denied right left " short=1 0+4096 0+4096
check "an event that nobody understands" served "denied right left " none x 0+4096

# The file that is filled, in a cache of this test's own.  No layer is an image, so nothing gets mounted.
mounts() { timeout 60 "$MOUNT" -t erofs.fanotify -o oci.insecure,oci.layer=0 "127.0.0.1:$port/${1:-repo}/img:tag" "$T/mnt"; }
both() { mounts "$1"; mounts "$2"; true; }
three()
{
	with_server registry.py good both repo repo && with_server registry.py good both repo other
	[ "$(find /var/cache/erofsmount -type f | wc -l)" = 3 ]
}
cut() { mounts; truncate -s 1 /var/cache/erofsmount/*; mounts; }
stays() { with_server registry.py good cut; [ "$(cat /var/cache/erofsmount/* | wc -c)" = 1 ]; }
inside() { unshare -m bash -c 'mount -t tmpfs none /var/cache && mount -t tmpfs none /run && . "$0" && "$@"' "$T/functions" "$@"; }

names=("a file for each repository of a blob" "a file of another size" "which stays as it is")
if [ "$(id -u)" = 0 ] && unshare -m true 2> /dev/null; then
	mkdir "$T/mnt"
	export HOME=$T MOUNT T here
	declare -f mounts both three cut stays with_server > "$T/functions"
	check "${names[0]}" inside three
	fails "${names[1]}" "has 1 bytes, but the registry says" inside with_server registry.py good cut
	check "${names[2]}" inside stays
else
	for name in "${names[@]}"; do
		skip "$name" "this takes a mount namespace of root's"
	done
fi
done_testing
