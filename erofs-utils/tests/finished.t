#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mkfs.erofs --fingerprint OUT IN.erofs: fingerprints for a finished image, whose data stays
# where it is.  Contents are those of the source, through a reader of its own and fsck.erofs.
. "$(dirname "$0")/lib.sh"

"$here/erofs-utils/tests/mktree" "$T/tree" || bail "cannot make the tree"
expected "$T/tree" > "$T/tree.list"
tar -C "$T/tree" --sort=name --exclude=./socket -cf "$T/tree.tar" . || bail "tar failed"

# $T/in is the source, $T/out the image with fingerprints; DEVICE has the data
judge() # TREE DEVICE [LARGEST]
{
	local size

	rm -rf "$T/x"
	fplist "$T/out" "--device=$2" | diff "$T/$1.list" - &&
		"$FSCK" --fingerprint "--extract=$T/x" "--device=$2" "$T/out" || return 1
	diff -r --no-dereference --exclude=fifo --exclude=socket --exclude=null "$T/$1" "$T/x" || return 1
	size=$(stat -c %s "$T/out")
	echo "$size bytes"
	[ "$size" -le "${3:-$((2 << 20))}" ]
}
finish()
{
	rm -f "$T/in" "$T/out" "$T/before"
	mkimg "$@" "$T/in" "$T/tree" && cp "$T/in" "$T/before" && mkimg --fingerprint "$T/out" "$T/in" &&
		cmp "$T/in" "$T/before" && judge tree "$T/in"
}
for o in "" -Enoinline_data --dax -b512 -b1024 "-b2048 -Enoinline_data" --chunksize=4096 "--chunksize=65536 -Eforce-chunk-indexes" \
	-Eforce-inode-extended "--dax --dedupe-files" --dedupe-files; do
	# shellcheck disable=SC2086
	check "of an image: ${o:-as it is made by default}" finish $o
done
named() { "$FPREAD" "--device=$T/in" "$T/out" > "$T/has" && grep " name=$1 base=1\$" "$T/has" && judge tree "$T/in"; }
kept() { finish --fingerprint=user.fp && rm "$T/out" && mkimg "$T/out" "$T/in" && named fp; }
check "fingerprints that are there are kept" kept
visible() { rm "$T/out"; mkimg --fingerprint=user.mine "$T/out" "$T/in" && named mine; }
check "under another name" visible

# --- data that is not in the image
blob()
{
	rm -f "$T/in" "$T/out" "$T/blob"
	mkimg --chunksize=4096 "--blobdev=$T/blob" "$T/in" "$T/tree" &&
		mkimg --fingerprint "--device=$T/blob" "$T/out" "$T/in" && judge tree "$T/blob"
}
check "an image with a blob" blob
index()
{
	rm -f "$T/in" "$T/out"
	mkimg --tar=i "$T/in" "$T/tree.tar" && mkimg --fingerprint "--device=$T/tree.tar" "$T/out" "$T/in" &&
		judge tree "$T/tree.tar"
}
check "a tar index" index
fails "a tar index without its tar file" "say where with --device" "$MKFS" --fingerprint "$T/out" "$T/in"
fails "--device of something else" "give one for each source" "$MKFS" --fingerprint "--device=$T/in" "$T/out" "$T/tree"
fails "two for one source" "give one for each source" \
	"$MKFS" --fingerprint "--device=$T/tree.tar" "--device=$T/tree.tar" "$T/out" "$T/in"

# --- many tails, copied before anything else is written
mkdir "$T/many"
python3 - "$T/many" <<'END'
import random, sys
rnd = random.Random(5)
for n in range(2500):
    with open(f"{sys.argv[1]}/{n}", "wb") as f:
        f.write(rnd.randbytes(4097 + n))
END
expected "$T/many" > "$T/many.list"
many() { rm -f "$T/out"; mkimg "$T/in" "$T/many" && mkimg --fingerprint "$T/out" "$T/in" && judge many "$T/in" $((32 << 20)); }
check "more than 8 MiB of tails" many

# --- a large file: what is copied and the indexes are small
mkdir "$T/large"
head -c 50000001 /dev/zero | tr '\0' 'a-z' > "$T/large/file"
expected "$T/large" > "$T/large.list"
large() { rm -f "$T/out"; mkimg "$T/in" "$T/large" && mkimg --fingerprint "$T/out" "$T/in" && judge large "$T/in" 131072; }
check "a file of 50 MB costs less than 128 KiB" large

# --- two of them share
share()
{
	cp -a "$T/large" "$T/large2"
	printf other > "$T/large2/other"
	rm -f "$T"/{in,out}*
	mkimg "$T/in" "$T/large" && mkimg -Enoinline_data "$T/in2" "$T/large2" &&
		mkimg --fingerprint "$T/out" "$T/in" && mkimg --fingerprint "$T/out2" "$T/in2" &&
		"$DUMP" --sharing --json "$T/out" "$T/out2" > "$T/json" && cat "$T/json" &&
		[ "$(jq '.domains[0].saved_bytes' "$T/json")" -ge 50000000 ]
}
check "two images that were finished share page cache" share

# --- refused, and nothing is left
refused() # NAME REGEX SOURCE...
{
	rm -f "$T/out"
	fails "$1" "$2" "$MKFS" --fingerprint "$T/out" "${@:3}"
	check "$1: no image" [ ! -e "$T/out" ]
}
for o in -zlz4 "-zlz4 -Efragments" "-zlz4hc -Eztailpacking"; do
	# shellcheck disable=SC2086
	mkimg $o "$T/in" "$T/tree" 2> /dev/null
	refused "an image with compressed files: $o" "is compressed, .*make the source image with --fingerprint" "$T/in"
done
mkimg -b4096 -Enoinline_data "$T/in" "$T/large" && mkimg -b512 -Enoinline_data "$T/in2" "$T/large2"
refused "sources of different block sizes" "make them with the same -b" "$T/in" "$T/in2"
refused "sources of different block sizes, the other way round" "make them with the same -b" "$T/in2" "$T/in"
mkimg "$T/in" "$T/large" && mkimg "$T/two" "$T/in"
refused "data in the image and on another device" "has data on device 0" "--device=$T/in" "$T/two"

done_testing
