#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mount.erofs --reattach: what is served again is what was mounted, or nothing
. "$(dirname "$0")/lib.sh"

if ! grep -q "oci.blob" <("$UTILS_BUILD/tools/mount/mount.erofs" --help); then
	echo "1..0 # SKIP built without libcurl or json-c"
	exit 0
fi
export HOME=$T DOCKER_CONFIG=$T
RECOVERY=$BUILD/check/utils/mount-recovery
[ "$RECOVERY" -nt "$UTILS_BUILD/tree/mount/main.c" ] || rm -f "$RECOVERY"
compile_with_liberofs "$RECOVERY" "$here/erofs-utils/tests/mount-recovery.c" -I"$UTILS_BUILD/tree" -U_GNU_SOURCE -DHAVE_CONFIG_H
for i in 1 2; do head -c 200000 /dev/urandom > "$T/layer$i"; done
head -c 4096 /dev/urandom > "$T/an index"
# as the registry has them
digest() { python3 -c 'import gzip, hashlib, sys; print("sha256:" + hashlib.sha256(gzip.compress(open(sys.argv[1], "rb").read(), mtime=0)).hexdigest())' "$1"; }

with_layers() { with_server registry.py "layers $T/layer1 $T/layer2" "$@"; }
both() { timeout 60 "$RECOVERY" "$T/record" "oci.insecure,$1" "127.0.0.1:$port/repo/img:tag" < /dev/null > "$T/both"; cat "$T/both"; }
same() { with_layers both "$1" && [ "$(uniq "$T/both" | wc -l)" = 1 ] && grep -q "^1:.. 1:.. 1:.. 1:" "$T/both"; }

check "a layer by its number" same oci.layer=1
check "which is written down by its digest" grep -qx "blob=$(digest "$T/layer2")" "$T/record"
check "a blob" same "oci.blob=$(digest "$T/layer1")"
check "an index and the layer behind it, by its number" same "oci.layer=1,oci.tarindex=$T/an index"
check "and by its digest" same "oci.blob=$(digest "$T/layer2"),oci.tarindex=$T/an index"

refused() { [[ $(timeout 60 "$RECOVERY" "$T/record" < "$T/layer1" 2> /dev/null) == "$1" ]]; }
cp "$T/record" "$T/whole"
for n in 0 1 4 20; do
	head -c -$((n ? n : $(stat -c %s "$T/whole"))) "$T/whole" > "$T/record"
	check "a record of $(stat -c %s "$T/record") bytes" refused "Invalid argument"
done
full() { timeout 60 "$RECOVERY" /dev/full oci.insecure,oci.layer=0 "127.0.0.1:$port/repo/img:tag" > "$T/both"; grep -q "not written: No space left" "$T/both"; }
check "a record that can't be written" with_layers full
done_testing
