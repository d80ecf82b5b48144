#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Files over 4 GiB, and mkfs.erofs --dax
. "$(dirname "$0")/lib.sh"

"$here/erofs-utils/tests/mktree" "$T/small" small || bail "cannot make the small tree"
expected "$T/small" > "$T/small.list"
"$here/erofs-utils/tests/mktree" "$T/tree" || bail "cannot make the tree"
mkdir -p "$T/hello"
printf 'hello\n' > "$T/hello/hello"

# --- files over 4 GiB: mostly holes, so that it takes seconds
mkdir "$T/huge"
truncate -s 4500M "$T/huge/file"
printf start | dd of="$T/huge/file" conv=notrunc status=none
printf 'beyond 4 GiB' | dd of="$T/huge/file" bs=1M seek=4300 conv=notrunc status=none
huge()
{
	mkimg --fingerprint --chunksize=1048576 "$T/img2" "$T/huge" && "$FPREAD" "$T/img2" > "$T/list" &&
		grep -q "^$(sha256sum < "$T/huge/file" | cut -d' ' -f1) 4718592000 chunk same /file" "$T/list"
}
check "a file of 4.4 GiB" huge
check "fsck reads all of it" "$FSCK" --fingerprint "$T/img2"
rm -rf "$T/huge"

# --- --dax
mkdir "$T/dax"
for i in 1 2 3; do head -c 2200000 /dev/urandom > "$T/dax/a$i"; for j in 1 2 3 4 5 6; do head -c $((i * j * 12345)) /dev/urandom > "$T/dax/b$i$j"; done; done
dax()
{
	mkimg --dax --fingerprint "$T/img2" "$T/dax" && "$FSCK" --fingerprint "$T/img2" || return 1
	! "$FPREAD" "$T/img2" | grep -v '^sb ' | grep -v ' plain same ' || return 1
	for i in 1 2 3; do
		"$DUMP" --path=/a$i -e "$T/img2" | 
			awk -F'[|:.]+' '/^ *0:/ { found = 1; bad = $5 % 2097152 } END { exit bad || !found }' || return 1
	done
}
check "dax: nothing inline, large files on 2 MiB boundaries" dax
padding()
{
	"$MKFS" -T0 --dax "$T/img2" "$T/tree" > "$T/msg" || return 1
	cat "$T/msg"
	grep -q "Filesystem files on 2 MiB boundaries: 3$" "$T/msg" && mkimg -Enoinline_data "$T/img3" "$T/tree" &&
	[ $(($(stat -c %s "$T/img2") - $(stat -c %s "$T/img3"))) -le $((2 << 20)) ]
}
check "dax: the padding is reported, and small files go into it" padding
for o in -b1024 -zlz4 --chunksize=4096 --dsunit=512 -Efragments; do
	fails "dax: not together with $o" "^<E> erofs: --dax " "$MKFS" --dax $o "$T/img2" "$T/hello"
done

done_testing
