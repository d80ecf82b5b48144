#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Fingerprints beside layouts: options, determinism, files that change, broken
# images, other makers' images, dump.erofs, large files, --dax.
. "$(dirname "$0")/../utils/lib.sh"

"$here/ci/utils/mktree" "$T/tree" || bail "cannot make the tree"
"$here/ci/utils/mktree" "$T/small" small || bail "cannot make the small tree"
expected "$T/small" > "$T/small.list"

# --- names and options
mkimg --fingerprint "$T/img" "$T/small"
check "the default name is hidden, and all is where the format says" \
	has "$T/img" "^sb blksize=4096 compat=0x37 incompat=0x40 prefixes=1 start=288 id=0 table=plain name=erofs.fingerprint.v1 base=0$"
example()
{
	mkdir -p "$T/hello" && printf 'hello\n' > "$T/hello/hello" && mkimg --fingerprint "$T/h" "$T/hello" || return 1
	at=$("$FPREAD" --offsets "$T/h" | awk '$1 == "xattr" { print $2 }')
	od -An -tx1 -v -j"$at" -N44 "$T/h" | tr -d ' \n' > "$T/bytes"
	printf '008027007368613235363a5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be0300' | cmp - "$T/bytes"
}
check "the bytes of the example in the format's description" example
mkimg --xattr-inode-digest "$T/img2" "$T/small"
check "--xattr-inode-digest is the same option" cmp "$T/img" "$T/img2"
visible()
{
	mkimg "--fingerprint=$1" "$T/img2" "$T/small" && has "$T/img2" " name=$2 base=$3\$" &&
		fplist "$T/img2" | diff "$T/small.list" - && "$FSCK" --fingerprint "$T/img2"
}
check "a name of one's own in user" visible user.fp fp 1
check "a name of one's own in trusted" visible trusted.erofs.fp erofs.fp 4
check "a name of one's own in security" visible security.fp fp 6
visible_extract()
{
	rm -rf "$T/x"
	mkimg --fingerprint=user.fp "$T/img2" "$T/small" && "$FSCK" --xattrs "--extract=$T/x" "$T/img2" &&
		[ "$(python3 -c 'import os,sys; print(os.getxattr(sys.argv[1], "user.fp")[7:].hex())' "$T/x/text")" = \
		  "$(sha256sum < "$T/small/text" | cut -d' ' -f1)" ]
}
if python3 -c 'import os,sys; os.setxattr(sys.argv[1], "user.t", b"")' "$T/hello/hello" 2>/dev/null; then
	check "a visible fingerprint comes out as an xattr" visible_extract
else
	skip "a visible fingerprint comes out as an xattr" "no user xattrs on this file system"
fi
for n in fp user. foo.bar "" "user.$(printf 'x%.0s' {1..300})"; do
	fails "refused as a name: ${n:0:20}" "^<E> erofs: .*fingerprint name" "$MKFS" "--fingerprint=$n" "$T/img2" "$T/small"
done
fails "rvsp has no contents" "nothing to take fingerprints of" \
	bash -c 'tar -C "$1/hello" -cf "$1/hello.tar" . && "$2" --fingerprint --tar=f --clean=rvsp "$1/img2" "$1/hello.tar"' - "$T" "$MKFS"
prefixes()
{
	mkimg --fingerprint --xattr-prefix=user.a.long "$T/img2" "$T/small" &&
		has "$T/img2" "prefixes=2 .* id=1 table=packed name=erofs.fingerprint.v1 base=0$" &&
		fplist "$T/img2" | diff "$T/small.list" -
}
check "together with --xattr-prefix" prefixes
tar_prefixes()
{
	tar -C "$T/small" --exclude=./socket --xattrs -cf "$T/small.tar" . && rm -f "$T/img2" &&
		mkimg --fingerprint --xattr-prefix=user.a.long --tar=f "$T/img2" "$T/small.tar" &&
		fplist "$T/img2" | diff "$T/small.list" -
}
check "together with --xattr-prefix, from tar" tar_prefixes
check "feature names in dump.erofs" grep -q "plain_xattr_pfx ishare_xattrs" <("$DUMP" -s "$T/img")

# --- the same bytes for any number of workers
for o in "" -zlz4 "-zlz4 -C65536 -Efragments" "-zlz4 -Eall-fragments" --chunksize=4096 --dax; do
	same()
	{
		local w
		for w in 1 2 7 2; do
			# shellcheck disable=SC2086
			mkimg --fingerprint --workers=$w $o "$T/w$w" "$T/tree" 2> /dev/null || return 1
			cmp "$T/w1" "$T/w$w" || return 1
		done
	}
	check "the same image from 1, 2 and 7 workers: ${o:-plain}" same
done
no_workers() { mkimg --fingerprint --workers=0 "$T/w0" "$T/tree" && mkimg --fingerprint "$T/w1" "$T/tree" && cmp "$T/w0" "$T/w1"; }
check "and without workers" no_workers
for o in -zlz4 "-zlz4 -Eztailpacking" "-zlz4 -Ededupe" "-zlz4 -Efragments,dedupe,ztailpacking" "-zlz4 -Eall-fragments"; do
	small_workers()
	{
		local w
		for w in 0 1 3; do
			# shellcheck disable=SC2086
			mkimg --fingerprint --workers=$w $o "$T/w$w" "$T/small" 2> /dev/null || return 1
			cmp "$T/w0" "$T/w$w" || return 1
		done
		fplist "$T/w0" | diff "$T/small.list" -
	}
	check "without, with 1 and 3 workers: $o" small_workers
done
# Threads pack the ends of files in another order: so it is without fingerprints, too.
fragments()
{
	local w
	for w in 0 1 3; do
		mkimg --fingerprint --workers=$w -zlz4 -Efragments "$T/w$w" "$T/small" 2> /dev/null &&
			fplist "$T/w$w" | diff "$T/small.list" - || return 1
	done
	cmp "$T/w1" "$T/w3"
}
check "fragments: right without workers, and the same from 1 and 3" fragments
rm -f "$T"/w?

# --- files that change while they are read
meddle=$BUILD/check/utils/meddle.so
compile "$meddle" "$here/ci/utils/meddle.c" -shared -fPIC -ldl
for o in "" -zlz4 --chunksize=4096 "-zlz4 -Eall-fragments" --dax; do
	for h in truncate append rewrite unlink; do
		cp "$T/small/text" "$T/hello/victim"
		# shellcheck disable=SC2086
		fails "$h while it is read: ${o:-plain}" "hello/victim" timeout 60 env LD_PRELOAD="$meddle" \
			MEDDLE_FILE="$(realpath "$T/hello")/victim" MEDDLE_HOW=$h "$MKFS" --quiet --fingerprint $o "$T/img2" "$T/hello"
	done
done
rm -f "$T/hello/victim"
head -c 200000 "$T/small.tar" > "$T/short.tar"
fails "a tar stream that ends too early" "." "$MKFS" --quiet --fingerprint --tar=f "$T/img2" "$T/short.tar"
fails "a tar index that ends too early" "." bash -c '"$1" --quiet --fingerprint --tar=i "$2/img2" < "$2/short.tar"' - "$MKFS" "$T"

# --- damage
mkimg -Enosbcrc --fingerprint "$T/good" "$T/small"
"$FPREAD" --offsets "$T/good" > "$T/offsets"
xattr=$(awk '$1 == "xattr" && $3 == "/text" { print $2 }' "$T/offsets")
other=$(awk '$1 == "xattr" && $3 == "/random" { print $2 }' "$T/offsets")
prefix=$(awk '$1 == "prefix" { print $2 }' "$T/offsets")
# damaged NAME OFFSET HEXBYTES: a copy of the image with these bytes
damaged()
{
	cp "$T/good" "$T/$1"
	printf "$(sed 's/../\\x&/g' <<< "$3")" | dd of="$T/$1" bs=1 seek="$2" conv=notrunc status=none
}
data=$(python3 -c 'import sys; print(open(sys.argv[1], "rb").read().find(open(sys.argv[2], "rb").read(4096)))' "$T/good" "$T/small/random")
damaged flip $((data + 1000)) 00
cmp -s "$T/good" "$T/flip" && damaged flip $((data + 1000)) 01
fails "one flipped byte of data is found, and the file named" "^<E> erofs: fingerprint wrong: /random" "$FSCK" --fingerprint "$T/flip"
fails "and while extracting" "fingerprint wrong: /random" "$FSCK" --fingerprint "--extract=$T/y" "$T/flip"
check "without --fingerprint nobody looks" "$FSCK" "$T/flip"
damaged should-fail-prefix-id $((1024 + 105)) 07
fails "a prefix id beyond the table" "fingerprint prefix 7 is beyond the 1 long" "$FSCK" --fingerprint "$T/should-fail-prefix-id"
fails "dump, too" "fingerprint prefix 7" "$DUMP" --fingerprint "$T/should-fail-prefix-id"
damaged should-fail-prefix-count $((1024 + 91)) 00
fails "a table without entries" "fingerprint prefix 0 is beyond the 0 long" "$FSCK" --fingerprint "$T/should-fail-prefix-count"
damaged should-fail-truncated $((xattr + 2)) 0500
fails "a truncated value" "." "$FSCK" --fingerprint "$T/should-fail-truncated"
damaged should-fail-overlong $((xattr + 2)) ffff
fails "a value that is longer than a block" "." "$FSCK" --fingerprint "$T/should-fail-overlong"
damaged should-fail-algorithm $((xattr + 4)) 6d64353a
fails "another algorithm" "malformed: 39 bytes, which are no SHA-256: /text" "$FSCK" --fingerprint "$T/should-fail-algorithm"
damaged should-fail-missing $((xattr + 1)) 01
fails "a missing one" "fingerprint missing: /text" "$FSCK" --fingerprint "$T/should-fail-missing"
check "dump shows a missing one as -" grep -Eq '^- +300000 /text$' <("$DUMP" --fingerprint "$T/should-fail-missing")
cp "$T/good" "$T/should-fail-other"
dd if="$T/good" of="$T/should-fail-other" bs=1 skip=$((other + 11)) seek=$((xattr + 11)) count=32 conv=notrunc status=none
fails "the digest of another file" "fingerprint wrong: /text" "$FSCK" --fingerprint "$T/should-fail-other"
damaged should-fail-table-size "$prefix" 0000
fails "an empty table entry" "." "$FSCK" --fingerprint "$T/should-fail-table-size"
damaged should-fail-table-start $((1024 + 92)) ffffffff
fails "a table beyond the image" "." "$FSCK" --fingerprint "$T/should-fail-table-start"
mkdir "$T/hide"
python3 -c 'import sys; open(sys.argv[1] + "/a", "wb").write(b"abc" * 7000); open(sys.argv[1] + "/b", "wb").write(b"xyz" * 7000)' "$T/hide"
mkimg -Enosbcrc,legacy-compress -zlz4 --fingerprint "$T/hidden" "$T/hide" && check "an image to hide an extent in" "$FSCK" --fingerprint "$T/hidden"
"$here/ci/utils/hide-extent" "$T/hidden" || bail "cannot hide an extent"
fails "an extent that only readers see" "has another one inside" "$FSCK" --fingerprint "$T/hidden"
mkimg -Enosbcrc --fingerprint -zlz4 -Efragments "$T/good" "$T/small"
damaged should-fail-plain $((1024 + 8)) 36
fails "a table that is in the packed inode, said to be plain" "." "$FSCK" --fingerprint "$T/should-fail-plain"
damaged should-fail-packed-start $((1024 + 92)) ffffff7f
fails "a table beyond the packed inode" "." "$FSCK" --fingerprint "$T/should-fail-packed-start"
mkimg "$T/none" "$T/small"
fails "an image without: fsck says how to get them" "make it with mkfs.erofs --fingerprint" "$FSCK" --fingerprint "$T/none"
fails "an image without: dump, too" "make it with mkfs.erofs --fingerprint" "$DUMP" --fingerprint "$T/none"

# --- other makers
if peer=$("$here/ci/utils/peer" "$BUILD/peer" 2> "$T/why"); then
	P=$BUILD/peer
	for o in "" -b512 -zlz4 "-zlz4 -Efragments" --chunksize=4096; do
		theirs()
		{
			# shellcheck disable=SC2086
			"$P/mkfs.erofs" -T0 -Uclear --quiet --xattr-inode-digest $o "$T/p" "$T/small" 2> /dev/null || return 1
			fplist "$T/p" | diff "$T/small.list" - && "$FSCK" --fingerprint "$T/p"
		}
		ours()
		{
			# shellcheck disable=SC2086
			mkimg --fingerprint $o "$T/p" "$T/small" && "$P/fsck.erofs" --xattr-inode-digest "$T/p"
		}
		check "erofs-utils $peer ${o:-plain}: their image, our fsck" theirs
		check "erofs-utils $peer ${o:-plain}: our image, their fsck" ours
	done
else
	skip "images of Debian's newest erofs-utils" "$(tail -n 1 "$T/why")"
fi

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
fails "dump of a directory" "isn't a regular file" "$DUMP" --fingerprint --path=/names "$T/img"
fails "dump of what is not there" "read inode failed" "$DUMP" --fingerprint --path=/nope "$T/img"
fails "--json alone" "is for --fingerprint and --sharing" "$DUMP" --json "$T/img"

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
fails "sharing: no image" "missing argument" "$DUMP" --sharing
fails "sharing: a domain without images" "NAME=IMAGE" "$DUMP" --domain=x
fails "sharing: no such image" "failed to open" "$DUMP" --sharing "$T/nope"
fails "sharing: no EROFS image" "superblock" "$DUMP" --sharing "$T/a.img" "$T/small/random"

check "sharing: the same image twice is warned of" grep -q "are the same image, which is counted twice" \
	<("$DUMP" --sharing "$T/a.img" "$T/s/../a.img" 2>&1)
head -c 60000 "$T/c.img" > "$T/short.img"
fails "sharing: a truncated image" "is truncated: it has 60000 of" "$DUMP" --sharing "$T/short.img"

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
fails "a domain without a name" "NAME=IMAGE" "$DUMP" --domain="=$T/a.img"
fails "--sharing and --fingerprint" "works with" "$DUMP" --sharing --fingerprint "$T/a.img"
fails "merging images with inline data" "can be merged" "$MKFS" --quiet --fingerprint "$T/f.img" "$T/a.img" "$T/c.img"
fails "merging with --clean=data" "leave out --clean=data" "$MKFS" --quiet --fingerprint --clean=data "$T/f.img" "$T/a.img" "$T/c.img"

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
