#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkfs.erofs --dedupe-files: equal files have the same blocks, others have not; contents,
# fingerprints and alignment are what they are without.
. "$(dirname "$0")/lib.sh"

"$here/erofs-utils/tests/mktree" "$T/small" small || bail "cannot make the small tree"
expected "$T/small" > "$T/small.list"
python3 - "$T/tree" <<'END'
import os, random, sys
rnd = random.Random(3)
top = sys.argv[1]
def put(path, data):
    os.makedirs(os.path.dirname(f"{top}/{path}"), exist_ok=True)
    with open(f"{top}/{path}", "wb") as f:
        f.write(data)
for size in (100, 4095, 4096, 4097, 8192, 12345, 70000, 300000, 2500000):
    data = rnd.randbytes(size)
    for n in "abc":
        put(f"same{n}/{size}", data)
    # equal size and ends: only the whole tells them apart
    put(f"near/{size}", data[:size // 2] + bytes([data[size // 2] ^ 1]) + data[size // 2 + 1:])
    put(f"near2/{size}", data[:size // 2] + bytes([data[size // 2] ^ 2]) + data[size // 2 + 1:])
    put(f"neara/{size}", data[:size // 2] + bytes([data[size // 2] ^ 1]) + data[size // 2 + 1:])
put("empty1", b"")
put("empty2", b"")
# a tail that fits beside a small inode, but not beside one with large xattrs
data = rnd.randbytes(4096 + 3900)
put("tail/1", data)
put("tail/2", data)
put("tail/3", data)
try:
    os.setxattr(f"{top}/tail/2", "user.large", b"x" * 300)
except OSError:
    pass
os.link(f"{top}/samea/70000", f"{top}/link")
with open(f"{top}/hole1", "wb") as f:
    f.truncate(500000)
with open(f"{top}/hole2", "wb") as f:
    f.truncate(500000)
END
expected "$T/tree" > "$T/tree.list"
tar -C "$T/tree" --sort=name -cf "$T/tree.tar" . || bail "tar failed"

# where DIR/FILE begins in $T/img
start() { "$DUMP" --path="$1" -e "$T/img" | awk -F'[|:.]+' '/^ *0:/ { print $5 + 0; exit }'; }
one_place()
{
	local a b

	a=$(start "$1") b=$(start "$2")
	echo "$1 is at $a, $2 at $b"
	[ -n "$a" ] && [ "$a" = "$b" ]
}
# makes $T/img and $T/img0, with and without: contents are right, and some bytes are saved
judge() # MINIMUM OPTION...
{
	local saved min=$1

	shift
	rm -rf "$T/x" "$T/img" "$T/img0"
	mkimg --fingerprint "$@" "$T/img0" "$src" && mkimg --fingerprint --dedupe-files "$@" "$T/img" "$src" || return 1
	fplist "$T/img" | diff "$T/tree.list" - && "$FSCK" --fingerprint "--extract=$T/x" "$T/img" &&
		diff -r --no-dereference "$T/tree" "$T/x" && [ "$T/x/link" -ef "$T/x/samea/70000" ] || return 1
	saved=$(($(stat -c %s "$T/img0") - $(stat -c %s "$T/img")))
	echo "saved $saved bytes, wanted $min"
	[ "$saved" -ge "$min" ]
}
all=$((2 * (4096 + 8192 + 12345 + 70000 + 300000 + 2500000)))

src=$T/tree
for o in "" -Enoinline_data -b512 "-b1024 -Eforce-inode-extended" --workers=0 --workers=1 --dax "--dax -Eforce-inode-compact" \
	"--chunksize=65536 -E^dedupe"; do
	# shellcheck disable=SC2086
	check "directory: ${o:-plain}" judge $all $o
	for f in 4096 12345 300000 2500000; do
		check "one copy of $f bytes: ${o:-plain}" one_place /samea/$f /samec/$f
		fails "but not of one that differs in a bit: ${o:-plain}, $f bytes" "is at [0-9]+, .* at [0-9]+$" one_place /samea/$f /near/$f
	done
	check "the second one of the latter is stored once, too" one_place /near/300000 /neara/300000
done

check "and so are links that are dereferenced" mkimg --fingerprint --dedupe-files --hard-dereference "$T/img" "$T/tree"
check "a link that is a file of its own has the same blocks" one_place /link /samea/70000

# --- DAX: files that share are chunks, which is how the kernel knows; others are not
dax()
{
	mkimg --fingerprint --dax --dedupe-files "$T/img" "$T/tree" && "$FPREAD" "$T/img" > "$T/list" || return 1
	grep -c ' chunk same /same[abc]/' "$T/list" | grep -x 27 && ! grep ' chunk same /near2/' "$T/list" &&
		grep -c ' plain same /near2/' "$T/list" | grep -x 9 && [ $(($(start /samea/2500000) % 2097152)) = 0 ]
}
check "dax: what is shared is a chunk on a 2 MiB boundary" dax
reported() { "$MKFS" -T0 --dax --dedupe-files "$T/img" "$T/tree" > "$T/msg" && grep "2 MiB boundaries: 6$" "$T/msg"; }
check "dax: each file on a 2 MiB boundary is counted" reported

# --- other ways in and out
src=$T/tree.tar
check "tar" judge $all --tar=f
check "tar, dax" judge $all --tar=f --dax
bare()
{
	rm -rf "$T/x"
	mkimg --dedupe-files "$@" "$T/img" "$T/tree" && mkimg "$@" "$T/img0" "$T/tree" &&
		[ $(($(stat -c %s "$T/img0") - $(stat -c %s "$T/img"))) -ge $all ] &&
		"$FSCK" "--extract=$T/x" "$T/img" && diff -r --no-dereference "$T/tree" "$T/x" &&
		! "$FPREAD" "$T/img" 2> "$T/msg" && grep "has no fingerprints" "$T/msg"
}
for o in "" --dax "--chunksize=4096 -E^dedupe"; do
	# shellcheck disable=SC2086
	check "without fingerprints: ${o:-plain}" bare $o
done
blob()
{
	rm -f "$T"/blob*
	mkimg --fingerprint --chunksize=4096 -E^dedupe "--blobdev=$T/blob0" "$T/img0" "$T/tree" &&
		mkimg --fingerprint --dedupe-files --chunksize=4096 -E^dedupe "--blobdev=$T/blob" "$T/img" "$T/tree" &&
		fplist "$T/img" "--device=$T/blob" | diff "$T/tree.list" - &&
		[ $(($(stat -c %s "$T/blob0") - $(stat -c %s "$T/blob"))) -ge $all ]
}
check "blobdev" blob
incremental()
{
	rm -f "$T/img"
	mkimg --fingerprint "$T/img" "$T/small" && before=$(stat -c %s "$T/img") &&
		mkimg --fingerprint --dedupe-files --tar=f --incremental=data "$T/img" "$T/tree.tar" || return 1
	sort -u "$T/tree.list" "$T/small.list" > "$T/both.list"
	fplist "$T/img" | diff "$T/both.list" - && "$FSCK" --fingerprint "$T/img" && one_place /samea/300000 /sameb/300000
}
check "incremental: among the new files" incremental
# which the independent reader doesn't know
bits48()
{
	rm -rf "$T/x"
	mkimg --fingerprint --dedupe-files -E48bit "$@" "$T/img" "$T/tree" && "$FSCK" --fingerprint "--extract=$T/x" "$T/img" &&
		diff -r --no-dereference "$T/tree" "$T/x" && one_place /samea/300000 /sameb/300000
}
check "48bit" bits48
check "48bit, dax" bits48 --dax
copied()
{
	rm -f "$T/img" "$T/from"
	mkimg "$@" "$T/from" "$T/tree" && mkimg --fingerprint --dedupe-files --clean=data "$T/img" "$T/from" &&
		fplist "$T/img" | diff "$T/tree.list" - && "$FSCK" --fingerprint "$T/img" && one_place /samea/12345 /sameb/12345
}
check "data copied from an image" copied
check "data copied from an image without inline data" copied -Enoinline_data
workers()
{
	for w in 0 1 2 7; do
		mkimg --fingerprint --dedupe-files "--workers=$w" "$@" "$T/w$w" "$T/tree" 2> /dev/null && cmp "$T/w0" "$T/w$w" || return 1
	done
}
check "the same image from any number of workers" workers
check "the same image from any number of workers, dax" workers --dax

# --- refused
no() { fails "refused: $*" "^<E> erofs: --dedupe-files can't be used together with " "$MKFS" --dedupe-files "${@:2}"; }
no "compression" -zlz4 "$T/img" "$T/small"
no "tar index" --tar=i "$T/img" "$T/tree.tar"
no "headers" --tar=headerball "$T/img" "$T/tree.tar"
no "unsorted tar" --tar=f --sort=none "$T/img" "$T/tree.tar"
no "space that is filled later" --tar=f --clean=rvsp "$T/img" "$T/tree.tar"
no "data that stays elsewhere" "$T/img" "$T/from"

done_testing
