#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# dump.erofs --fingerprint and --sharing; full disks, and other wrong use
. "$(dirname "$0")/lib.sh"

"$here/erofs-utils/tests/mktree" "$T/small" small || bail "cannot make the small tree"
expected "$T/small" > "$T/small.list"
mkimg --fingerprint "$T/img" "$T/small"

# --- dump.erofs
list() { "$DUMP" --fingerprint "$1" | sed 's/^sha256://' | awk '{ print $1, $2 }' | sort; }
check "dump lists all of them" diff <(awk '{ print $1, $2 }' "$T/small.list") <(list "$T/img")
hex=$(sha256sum < "$T/small/text" | cut -d' ' -f1)
check "dump of one path" grep -Eq "^sha256:$hex +300000 /text\$" <("$DUMP" --fingerprint --path=/text "$T/img")
nid=$("$DUMP" --path=/text "$T/img" | sed -n 's/^NID: \([0-9]*\).*/\1/p')
check "dump of one inode" grep -q "^sha256:$hex " <("$DUMP" --fingerprint "--nid=$nid" "$T/img")
check "dump as JSON, names that are no UTF-8 too" python3 -c '
import json, subprocess, sys
l = json.loads(subprocess.run([sys.argv[1], "--fingerprint", "--json", sys.argv[2]], stdout=subprocess.PIPE, check=True).stdout)
p = {e["path"]: e for e in l}
assert p["/text"] == {"fingerprint": "sha256:" + sys.argv[3], "size": 300000, "path": "/text"}
assert "/names/new\nline" in p and "/names/\udcff\udcfe" in p and "/names/\u00e4" in p
assert p["/empty"]["fingerprint"] is None' "$DUMP" "$T/img" "$hex"
sums() { "$DUMP" --fingerprint=sha256sum "$T/img" > "$T/sums" && (cd "$T/small" && sha256sum -c --quiet --strict "$T/sums"); }
check "dump in the form of sha256sum -c, which finds all of them right" sums
check "and each name is there" test "$(wc -l < "$T/sums")" = "$(wc -l < "$T/small.list")"
fails "an unknown form" "the only one is sha256sum" "$DUMP" --fingerprint=md5sum "$T/img"
fails "dump of a directory" "isn't a regular file" "$DUMP" --fingerprint --path=/names "$T/img"
fails "dump of what is not there" "read inode failed" "$DUMP" --fingerprint --path=/nope "$T/img"
fails "--json alone" "is for --fingerprint and --sharing" "$DUMP" --json "$T/img"

fails "exit status: a path that is not there" "read inode failed" "$DUMP" --path=/nope "$T/img"
fails "exit status: contents of what is not there" "read inode failed" "$DUMP" --cat --path=/nope "$T/img"
fails "exit status: an inode that is not there" "read inode failed" "$DUMP" --nid=99999999 "$T/img"
fails "exit status: extents of nothing" "needs --nid or --path" "$DUMP" -e "$T/img"
mkimg --chunksize=4096 "--blobdev=$T/blob" "$T/elsewhere" "$T/small"
fails "exit status: contents that are not there" "read file failed" "$DUMP" --cat --path=/text "$T/elsewhere"
check "exit status: all is well" "$DUMP" -S --path=/text -e "$T/img"

# --- sharing: three images whose overlap is known
mkdir -p "$T"/s/{a,b,c}
head -c 100000 /dev/urandom > "$T/s/a/all"
cp "$T/s/a/all" "$T/s/b/all"; cp "$T/s/a/all" "$T/s/c/other-name"
head -c 50000 /dev/urandom > "$T/s/a/ab"; cp "$T/s/a/ab" "$T/s/b/ab"
head -c 5000 /dev/urandom > "$T/s/c/twice"; cp "$T/s/c/twice" "$T/s/c/twice2"; ln "$T/s/c/twice" "$T/s/c/link"
head -c 1 /dev/urandom > "$T/s/b/own"
mkimg --fingerprint "$T/a.img" "$T/s/a"; mkimg --fingerprint -zlz4 "$T/b.img" "$T/s/b"; mkimg "$T/c.img" "$T/s/c"
sharing()
{
	"$DUMP" --sharing --json "$T/a.img" "$T/b.img" "$T/c.img" > "$T/json" || return 1
	python3 - "$T/json" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[1]))["domains"][0]
	pages = lambda n: (n + 4095) // 4096 * 4096
	without = 3 * pages(100000) + 2 * pages(50000) + 2 * pages(5000) + pages(1)
	with_ = pages(100000) + pages(50000) + pages(5000) + pages(1)
	assert d["page_cache_bytes_without_sharing"] == without, d
	assert d["page_cache_bytes_with_sharing"] == with_, d
	assert d["saved_bytes"] == without - with_
	assert abs(d["saved_percent"] - 100 * (without - with_) / without) < .01
	groups = {tuple(i[-5] for i in g["images"]): (g["contents"], g["bytes"]) for g in d["equal"]}
	assert groups == {("a", "b", "c"): (1, 100000), ("a", "b"): (1, 50000), ("c",): (1, 5000)}, groups
	assert [f["bytes"] for f in d["largest"]] == [100000, 50000, 5000]
	assert d["largest"][0]["copies"] == 3
	assert [i["hashed_files"] for i in d["images"]] == [0, 0, 3], d["images"]
	END
}
check "sharing: to the byte, compressed and unfingerprinted images too" sharing
check "sharing: the text says it, and what to do" grep -q "3 files have no fingerprint" <("$DUMP" --sharing "$T/a.img" "$T/b.img" "$T/c.img")
domains()
{
	"$DUMP" --domain="x=$T/a.img,$T/b.img" --domain="y=$T/c.img" --json > "$T/json" || return 1
	python3 - "$T/json" <<-'END'
	import json, sys
	x, y = json.load(open(sys.argv[1]))["domains"]
	assert x["domain"] == "x" and x["saved_bytes"] == 102400 + 53248, x
	assert y["domain"] == "y" and y["saved_bytes"] == 8192, y
	END
}
check "sharing: domains do not share with each other" domains
bases()
{
	"$DUMP" --base="$T/a.img,$T/b.img" --json "$T/c.img" > "$T/json" || return 1
	python3 - "$T/json" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[1]))["domains"][0]
	a, b, c = d["images"]
	assert (a["base"], b["base"], c["base"]) == (True, True, False), d
	# the two equal files of c alone; a file that both bases have adds nothing
	assert c["added_bytes"] == d["added_bytes"] == 8192, d
	END
}
check "sharing: what an image adds to those of --base" bases
fails "sharing: --base alone" "missing argument" "$DUMP" --base="$T/a.img"
fails "sharing: a base without a name" "an image without a name" "$DUMP" --base="$T/a.img,,$T/b.img" "$T/c.img"
memory()
{
	mkimg --fingerprint -Enoinline_data "$T/a2.img" "$T/s/a" && mkimg --fingerprint --chunksize=4096 "$T/b2.img" "$T/s/b" || return 1
	"$DUMP" --sharing --json "$T/a2.img" "$T/b2.img" "$T/b.img" > "$T/json" || return 1
	python3 - "$T/json" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[1]))["domains"][0]
	# b.img is compressed, so that memory maps none of its files
	assert d["untouched_bytes_on_memory"] == 102400 + 53248, d
	assert d["saved_bytes"] == 2 * (102400 + 53248) + 4096, d
	END
}
check "sharing: what is never touched of further copies on memory" memory
untouched() { "$DUMP" --sharing --json "$@" 2> /dev/null > "$T/json" && python3 -c 'import json, sys; print(json.load(sys.stdin)["domains"][0]["untouched_bytes_on_memory"])' < "$T/json"; }
once()
{
	mkdir "$T/once" && head -c 200000 /dev/urandom > "$T/once/1" && cp "$T/once/1" "$T/once/2" && truncate -s 1M "$T/once/hole1" "$T/once/hole2" || return 1
	mkimg --fingerprint -Enoinline_data "$T/twice.img" "$T/once" && mkimg --fingerprint -Enoinline_data --dedupe-files "$T/once.img" "$T/once" &&
		mkimg --fingerprint --chunksize=4096 "$T/chunks.img" "$T/once" || return 1
	[ "$(untouched "$T/twice.img")" = $((200704 + 1048576)) ] && [ "$(untouched "$T/once.img")" = 0 ] && [ "$(untouched "$T/chunks.img")" = 0 ] || return 1
	# zeroes are stored without chunks
	[ "$(untouched "$T/twice.img" "$T/once.img")" = $((2 * (200704 + 1048576))) ] && [ "$(untouched "$T/twice.img" "$T/chunks.img")" = $((2 * 200704 + 1048576)) ]
}
check "sharing: files that an image stores once, and holes, are no copies" once
hole()
{
	mkdir "$T/hole" && head -c 8192 /dev/urandom > "$T/hole/f" && truncate -s 1M "$T/hole/f" && head -c 4096 /dev/urandom >> "$T/hole/f" || return 1
	mkimg --chunksize=4096 "$T/hole.img" "$T/hole" && "$DUMP" -e --path=/f "$T/hole.img" > "$T/extents" || return 1
	grep -Eq "8192\.\. *12288 \| *4096 : +0\.\. +0 \| +0" "$T/extents"
}
check "a hole of a file in chunks has no address" hole
hole_first()
{
	mkdir "$T/zeroes" && head -c 1000000 /dev/zero > "$T/zeroes/f" || return 1
	mkimg --fingerprint --chunksize=4096 "$T/z1.img" "$T/zeroes" && mkimg --fingerprint -Enoinline_data "$T/z2.img" "$T/zeroes" &&
		cp "$T/z2.img" "$T/z3.img" || return 1
	[ "$(untouched "$T/z1.img" "$T/z2.img")" = 1003520 ] && [ "$(untouched "$T/z1.img" "$T/z2.img" "$T/z3.img")" = 2007040 ] &&
		[ "$(untouched "$T/z2.img" "$T/z1.img" "$T/z3.img")" = 1003520 ]
}
check "sharing: the first image has a hole where others have zeroes" hole_first
small_blocks() { mkimg --fingerprint -b1024 "$T/small.img" "$T/once" && [ "$(untouched "$T/small.img" "$T/small.img")" = 0 ]; }
check "sharing: memory maps no blocks of 1 KiB" small_blocks
ids()
{
	"$DUMP" --sharing "$T/a.img" "$T/b.img" "$T/c.img" > "$T/text" && cat "$T/text" &&
		grep -Eq "^ .* 2 $T/b.img\$" "$T/text" && grep -Eq '^ +1 .* 1 2 3$' "$T/text" && grep -Eq ' 1 /all$' "$T/text" &&
		grep -Eq '^  1  152.0 KiB  152.0 KiB +100.0 KiB$' "$T/text"
}
check "sharing: the text names images by numbers, two by two, and that of each file" ids
hundred() { timeout 20 "$DUMP" --sharing $(yes "$T/a.img" | head -n 100) --json 2> /dev/null > "$T/json" && [ "$(grep -c '"image"' "$T/json")" -ge 100 ]; }
check "sharing: 100 images" hundred
devices()
{
	mkimg --chunksize=4096 "--blobdev=$T/b3.blob" "$T/b3.img" "$T/s/b" &&
		mkimg --chunksize=4096 "--blobdev=$T/c3.blob" "$T/c3.img" "$T/s/c" &&
		"$DUMP" --sharing --json "--device=$T/b3.blob" "--device=$T/c3.blob" "$T/b3.img" "$T/a.img" "$T/c3.img" > "$T/json" || return 1
	python3 - "$T/json" <<-'END'
	import json, sys
	d = json.load(open(sys.argv[1]))["domains"][0]
	assert d["saved_bytes"] == 2 * 102400 + 53248 + 8192, d
	assert [i["hashed_files"] for i in d["images"]] == [3, 0, 3], d["images"]
	END
}
check "sharing: images whose data is on other devices" devices
fails "sharing: one device of two" "give all images' with --device" "$DUMP" --sharing "--device=$T/b3.blob" "$T/b3.img" "$T/c3.img"
fails "sharing: no device" "name these with --device" "$DUMP" --sharing "$T/b3.img"
fails "sharing: a device too many" "c3.blob is a device of no image" "$DUMP" --sharing "--device=$T/b3.blob" "--device=$T/c3.blob" "$T/b3.img"
refers() { mkimg --fingerprint "$T/refers.img" "$T/twice.img" && [ "$(untouched "$T/twice.img" "$T/refers.img")" = "$(untouched "$T/twice.img")" ] &&
	[ "$(untouched "--device=$T/twice.img" "$T/refers.img" "$T/twice.img")" = "$(untouched "$T/twice.img")" ]; }
check "sharing: an image that refers to the data of another one has no memory of its own" refers
in_order()
(
	mkdir "$T/o"
	cd "$T/o" || return 1
	for i in a b c; do
		mkdir $i && head -c 8192 /dev/urandom > $i/f && mkimg --fingerprint $i.fp $i && mkimg --chunksize=4096 --blobdev=$i.blob $i.img $i || return 1
	done
	# what is equal is found only if each image is read with its own device
	"$DUMP" --sharing --json --device=a.blob a.img --device=b.blob --base=b.img a.fp b.fp > "$T/json" &&
		grep -q '"saved_bytes": 16384,' "$T/json" || return 1
	"$DUMP" --json --device=a.blob --domain=p=a.img --device=b.blob --domain=q=b.img --device=c.blob --domain=p=c.img,a.fp,c.fp \
		--domain=q=b.fp > "$T/json" && grep -q '"saved_bytes": 16384,' "$T/json" && grep -q '"saved_bytes": 8192,' "$T/json"
)
check "sharing: devices in the order of the images, in options and arguments" in_order
named() { cp "$T/o/a.fp" "$T/o/"$'i\x01\n' && "$DUMP" --sharing "$T/o/"$'i\x01\n' > "$T/text" && grep -qF 'i\001\012 ' <(sed 's/$/ /' "$T/text"); }
check "sharing: the names of images do nothing to terminals" named
fails "a device that is not there" "failed to open $T/nope: " "$DUMP" --fingerprint "--device=$T/nope" "$T/b3.img"
for tool in "$DUMP" "$FSCK"; do
	# shellcheck disable=SC2046
	fails "300 devices: $(basename "$tool")" "extra devices don't match" "$tool" $(yes -- "--device=$T/b3.blob" | head -n 300) "$T/b3.img"
done
fails "sharing: no image" "missing argument" "$DUMP" --sharing
fails "sharing: a domain without images" "NAME=IMAGE" "$DUMP" --domain=x
fails "sharing: no such image" "failed to open" "$DUMP" --sharing "$T/nope"
fails "sharing: no EROFS image" "superblock" "$DUMP" --sharing "$T/a.img" "$T/small/random"

check "sharing: the same image twice is warned of" grep -q "are the same image, which is counted twice" \
	<("$DUMP" --sharing "$T/a.img" "$T/s/../a.img" 2>&1)
head -c 60000 "$T/c.img" > "$T/short.img"
fails "sharing: a truncated image" "is truncated: it has 60000 of" "$DUMP" --sharing "$T/short.img"

# --- hard links are one file for all of them
inodes=$(find "$T/small" -type f -size +0 -printf '%i\n' | sort -u | wc -l)
check "the files have hard links" test "$inodes" -lt "$(find "$T/small" -type f -size +0 | wc -l)"
check "fsck verifies each inode once" grep -qx "digests: $inodes verified, 0 missing, 0 malformed, 0 wrong" <("$FSCK" --fingerprint "$T/img")
check "and --sharing counts the same" grep -q "\"files\": $inodes," <("$DUMP" --sharing --json "$T/img")
check "fsck of one path" grep -qx "digests: 1 verified, 0 missing, 0 malformed, 0 wrong" <("$FSCK" --fingerprint --path=/text "$T/img")
check "fsck of one directory" grep -qx "digests: 4 verified, 0 missing, 0 malformed, 0 wrong" <("$FSCK" --fingerprint --path=/dup "$T/img")

# --- statistics
mkdir "$T/types" "$T/nothing" && touch "$T"/types/{a.o,b.a,c.s,d.r,e.,f.rcx,.txt.bak} && echo x > "$T/types/g.so"
mkimg "$T/types.img" "$T/types"; mkimg "$T/nothing.img" "$T/nothing"
kinds() { "$DUMP" -S "$T/types.img" | awk '/^File type/ { go = 1 } go && $2 + 0 { print $1, $2 }' | tr '\n' ' '; }
check "statistics: endings of names are compared as a whole" test "$(kinds)" = ".so 1 others 7 "
ratios() { "$DUMP" -S "$T/$1.img" | grep -E 'compress rate: +100.00%$' && "$DUMP" --path=/ "$T/$1.img" | grep -v nan; }
check "statistics: the compression ratio of nothing" ratios nothing
empty() { grep -q 'Compression ratio: 100.00%' <("$DUMP" --path=/a.o "$T/types.img"); }
check "the compression ratio of an empty file" empty
exabyte()
{
	local top rc
	top=$(mktemp -d -p /dev/shm) || return 1
	truncate -s 1E "$top/f" && mkimg --chunksize=1073741824 "$T/exabyte.img" "$top" && ratios exabyte
	rc=$?
	rm -rf "$top"
	return $rc
}
if [ -w /dev/shm ]; then
	check "statistics: a sparse file of 1 EiB" exabyte
else
	skip "statistics: a sparse file of 1 EiB" "no /dev/shm"
fi

# --- a disk that is full, and other wrong use
full() { (trap '' XFSZ; ulimit -f 20; exec "$@"); }
fails "disk full: extraction" "failed to write: File too large" full "$FSCK" --fingerprint "--extract=$T/f" "$T/a.img"
fails "disk full: plain" "failed to write: File too large" full "$MKFS" --quiet --fingerprint "$T/f.img" "$T/s/a"
fails "disk full: compressed" "failed to write: File too large" full "$MKFS" --quiet --fingerprint -zlz4 "$T/f.img" "$T/s/a"
full_append()
{
	# chunks wait in a file of their own, which has to have room
	(trap '' XFSZ; ulimit -f 20; exec "$MKFS" --quiet --fingerprint --chunksize=4096 "$T/f.img" "$T/s/a")
}
fails "disk full: chunks" "File too large" full_append
bad_xattrs()
{
	local nid
	cp "$T/o/a.fp" "$T/bad.img" || return 1
	nid=$("$DUMP" --path=/f "$T/bad.img" | sed -n 's/^NID: \([0-9]*\) .*/\1/p') && [ -n "$nid" ] || return 2
	python3 - "$T/bad.img" "$nid" <<-'END' || return 2
	import sys
	with open(sys.argv[1], "r+b") as image:
	    at = int(sys.argv[2]) * 32
	    image.seek(at)
	    extended = image.read(1)[0] & 1
	    # e_value_size of the first xattr, behind the inode and the header of its xattrs
	    image.seek(at + (64 if extended else 32) + 12 + 2)
	    image.write(b"\xff\xff")
	END
	"$DUMP" "--nid=$nid" --fingerprint "$T/bad.img"
}
fails "digest of an inode with wrong xattrs" "failed to read the digest of /" bad_xattrs
for o in --fingerprint "--fingerprint --json" --sharing "--sharing --json" -s; do
	# shellcheck disable=SC2086
	fails "output that cannot be written: dump.erofs $o" "failed to write the output" \
		bash -c '"$@" > /dev/full' - "$DUMP" $o "$T/a.img"
done
fails "no EROFS image: fsck" "cannot find valid erofs superblock" "$FSCK" --fingerprint "$T/s/a/all"
fails "no EROFS image: dump" "cannot find valid erofs superblock" "$DUMP" --fingerprint "$T/s/a/all"
fails "a directory: dump" "Is a directory" "$DUMP" --fingerprint "$T/s"
fails "no such image: fsck" "No such file" "$FSCK" --fingerprint "$T/nope"
fails "fsck takes no name" "doesn't allow an argument" "$FSCK" --fingerprint=user.fp "$T/a.img"
fails "a domain whose image has no name" "an image without a name" "$DUMP" --domain="x=$T/a.img,,$T/b.img"
fails "--cat with -e" "incompatible" "$DUMP" --cat -e --nid=0 "$T/a.img"
fails "--cat of a directory" "shows regular files and symlinks, and a directory" "$DUMP" --cat --path=/ "$T/a.img"
fails "--ls of a file" "failed to list directory contents: .*Not a directory" "$DUMP" --ls --path=/f "$T/o/a.fp"
linked()
{
	rm -rf "$T/links"
	mkdir "$T/links" && head -c 100000 /dev/zero | tr '\0' x > "$T/links/a" && ln "$T/links/a" "$T/links/b" &&
		ln "$T/links/a" "$T/links/c" && mkimg "$T/l.img" "$T/links" && "$DUMP" -S "$T/l.img" > "$T/out" &&
		grep -Eq "total file size: +100000 Bytes" "$T/out" &&
		grep -Eq "total original file size: +100000 Bytes" "$T/out"
}
check "bytes of a file with three names count once" linked
ratio()
{
	"$FSCK" -p "$T/l.img" > "$T/out" 2>&1 && grep -qx "Compression ratio: [0-9.]*(%)" "$T/out"
}
check "fsck.erofs -p prints the ratio" ratio
fails "a domain without a name" "NAME=IMAGE" "$DUMP" --domain="=$T/a.img"
fails "--sharing and --fingerprint" "works with" "$DUMP" --sharing --fingerprint "$T/a.img"
mkimg -zlz4 "$T/z.img" "$T/small" 2> /dev/null
fails "merging compressed images" "is compressed" "$MKFS" --quiet --fingerprint "$T/f.img" "$T/z.img" "$T/c.img"

done_testing
